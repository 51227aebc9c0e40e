"""The command line: the whole chain, help, and one line with an exit code for every bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import h5py
import numpy as np
import pytest

from caloforge.api import train
from caloforge.cli.entry import app, run
from caloforge.cli.interrupts import heard
from caloforge.store import open_showers, write_showers
from helpers import SAMPLES, lcd_showers, random_showers

COMMANDS = [
    "quickstart",
    "simulate",
    "convert",
    "doctor",
    "info",
    "train",
    "tune",
    "generate",
    "validate",
    "predict",
    "export",
    "serve",
    "compose",
    "digitise",
    "detectors",
    "models",
    "formats",
    "samples",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store, a library and a small 3DGAN."""
    path = tmp_path_factory.mktemp("cli")
    write_showers(path / "showers.h5", lcd_showers(40))
    write_showers(path / "small.h5", random_showers(4))
    train("library", path / "showers.h5", path / "library")
    steps = ["training.batch_size=2", "training.max_steps=1"]
    train("3dgan", path / "showers.h5", path / "gan", overrides=steps)
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"caloforge {command}" in text


def test_help_of_bench(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "generate", "--help"]) == 0
    assert "caloforge bench generate" in capsys.readouterr().out


def test_no_heavy_import_before_a_command_runs() -> None:
    code = (
        "import sys; from caloforge.cli.entry import run; run(['--help']);"
        "heavy = {'torch', 'numpy', 'h5py', 'matplotlib', 'lightning', 'sklearn', 'scipy'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_version_and_lists(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert run(["detectors"]) == 0
    assert run(["models", "--json"]) == 0
    text = capsys.readouterr().out
    assert "caloforge 0." in text
    assert "lcd-ecal-25" in text
    assert '"library"' in text


def test_models_list_their_published_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "--json"]) == 0
    kinds = json.loads(capsys.readouterr().out)["kinds"]
    assert kinds["3dgan"]["networks"] == {"generator": 872_808, "discriminator": 73_402}
    assert kinds["3dgan"]["detector"] == "lcd-ecal-25"
    assert kinds["library"]["networks"] == {}


def test_the_chain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """convert, train, generate, validate, export, info, bench: on real showers."""
    store, model, made = tmp_path / "a.h5", tmp_path / "library", tmp_path / "made.h5"
    lcd = str(SAMPLES / "electrons_test.h5")
    assert run(["convert", lcd, "-o", str(store), "--limit", "60"]) == 0
    assert run(["train", "library", "--data", str(store), "-o", str(model), "--quiet"]) == 0
    like = ["--like", str(store), "--seed", "3"]
    capsys.readouterr()
    assert run(["generate", str(model), *like, "-o", str(made), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["showers"] == 60
    report = ["validate", str(store), str(made), "-o", str(tmp_path / "report"), "--quick"]
    assert run([*report, "--training", str(store), "--quiet"]) == 0
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert metrics["schema"] == 1
    assert (tmp_path / "report" / "index.html").stat().st_size > 50_000
    capsys.readouterr()
    assert run(["info", str(made), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["showers"] == 60
    assert facts["provenance"]["step"] == "generate"
    assert facts["sampling_fraction"] == pytest.approx(0.0205, rel=0.03)
    assert run(["info", str(model)]) == 0
    assert "library" in capsys.readouterr().out
    figures = tmp_path / "bench.json"
    bench = ["bench", "generate", str(model), "--batch", "4", "--seconds", "0.1"]
    assert run([*bench, "--json", str(figures)]) == 0
    rows = json.loads(figures.read_text())["timings"]
    assert [row["model"] for row in rows] == ["Geant4", "library"]
    assert rows[0]["ms"] == pytest.approx(442, rel=0.01)
    assert rows[1]["speedup"] == pytest.approx(rows[0]["ms"] / rows[1]["ms"])


def test_export_and_generate_with_onnx(folder: Path, tmp_path: Path) -> None:
    exported = tmp_path / "gan.onnx"
    assert run(["export", str(folder / "gan"), "-o", str(exported), "--quiet"]) == 0
    request = ["generate", str(exported), "--energy", "20:80", "-n", "5", "-o"]
    assert run([*request, str(tmp_path / "g.h5"), "--engine", "onnx", "--quiet"]) == 0
    assert len(open_showers(tmp_path / "g.h5")) == 5
    assert run(["info", str(exported)]) == 0


def test_a_shower_for_every_listed_energy(folder: Path, tmp_path: Path) -> None:
    request = ["generate", str(folder / "library"), "--energy", "20,30,50", "--phi", "90"]
    assert run([*request, "-o", str(tmp_path / "g.h5"), "--quiet"]) == 0
    incident = open_showers(tmp_path / "g.h5").read().incident
    assert incident.energy.tolist() == [20e3, 30e3, 50e3]
    assert incident["phi"].tolist() == pytest.approx([np.pi / 2] * 3)


def test_samples_come_whole_and_replace_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["samples", str(tmp_path), "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert sorted(files) == sorted(str(path) for path in tmp_path.iterdir())
    assert run(["samples", str(tmp_path)]) == 0  # the same ones
    (tmp_path / "lcd_test.h5").write_bytes(b"my own")
    assert run(["samples", str(tmp_path)]) == 1
    assert "is another file; choose another folder" in capsys.readouterr().err
    assert (tmp_path / "lcd_test.h5").read_bytes() == b"my own"
    assert run(["samples", str(tmp_path / "nowhere")]) == 1
    assert "nowhere' does not exist" in capsys.readouterr().err


def make(folder: Path, tmp_path: Path) -> dict[str, str]:
    """Bad files by name, beside the good ones."""
    good = (folder / "showers.h5").read_bytes()
    (tmp_path / "truncated.h5").write_bytes(good[: len(good) // 2])
    (tmp_path / "text.h5").write_text("not a shower\n" * 100)
    (tmp_path / "recipe.yaml").write_text("model: {kind: library, colour: red}\n")
    with h5py.File(tmp_path / "nokeys.h5", "w") as file:
        file["ECAL"] = np.ones((2, 25, 25, 25), np.float32)
    with h5py.File(tmp_path / "nan.h5", "w") as file:
        file["ECAL"] = np.full((2, 25, 25, 25), np.nan, np.float32)
        file["target"] = np.ones((2, 2), np.float32)
    return {"good": str(folder / "showers.h5"), "tmp": str(tmp_path), "models": str(folder)}


BAD = [
    ("convert {tmp}/none.h5 -o {tmp}/o.h5", 1, ["none.h5", "no such file"]),
    ("convert {tmp}/text.h5 -o {tmp}/o.h5", 1, ["text.h5", "not an HDF5"]),
    ("convert {tmp}/truncated.h5 -o {tmp}/o.h5", 1, ["truncated.h5"]),
    ("convert {tmp}/nokeys.h5 -o {tmp}/o.h5 --from lcd", 1, ["nokeys.h5", "'target'"]),
    ("convert {tmp}/nokeys.h5 -o {tmp}/o.h5", 1, ["nokeys.h5", "--from"]),
    ("convert {tmp}/nan.h5 -o {tmp}/o.h5", 1, ["nan.h5", "ECAL", "nan"]),
    ("convert {good} -o {tmp}/no/o.h5", 1, ["no", "mkdir -p"]),
    ("convert {good} -o {tmp}/o.h5 --to root6", 2, ["root6", "lcd-angle"]),
    ("convert {good} -o {tmp}/o.h5 --detector atlas", 2, ["atlas", "lcd-ecal"]),
    ("convert {good}", 2, ["output"]),
    ("convert {good} -o {tmp}/o.h5 --colour", 2, ["--colour"]),
    ("train nothing --data {good} -o {tmp}/m", 2, ["nothing", "3dgan"]),
    ("train {tmp}/recipe.yaml --data {good} -o {tmp}/m", 2, ["colour", "neighbours"]),
    ("train library --data {tmp}/none.h5 -o {tmp}/m", 1, ["none.h5"]),
    ("train library --data {good} -o {tmp}/no/m", 1, ["mkdir -p"]),
    ("train library --data {good} -o {tmp}/m --set training.epoch=1", 2, ["epoch", "epochs"]),
    ("train 3dgan --data {models}/small.h5 -o {tmp}/m", 2, ["small.h5", "lcd-ecal-25"]),
    ("train 3dgan --data {good} -o {tmp}/m --set training.batch_size=99", 2, ["batch_size", "40"]),
    ("tune library --data {good} --trials 2 -o {tmp}/t", 2, ["--search"]),
    (
        "tune library --data {good} --trials 2 -o {tmp}/t --search model.n=int:1:9",
        2,
        ["model.n", "neighbours"],
    ),
    (
        "tune library --data {tmp}/none.h5 --trials 2 -o {tmp}/t --search model.neighbours=int:1:9",
        2,
        ["model.neighbours", "10"],
    ),
    (
        "tune library --data {tmp}/none.h5 --trials 2 -o {tmp}/t --search model.neighbours=5|10",
        1,
        ["none.h5"],
    ),
    (
        "tune library --data {good} --trials 2 -o {tmp}/t --search model.neighbours=5|10 "
        "--storage oracle",
        2,
        ["--storage", "sqlite:///"],
    ),
    (
        "tune library --data {good} --trials 2 -o {tmp}/t --search model.neighbours=5|10 "
        "--storage sqlite:///{tmp}/no/study.db",
        1,
        ["--storage", "no/study.db"],
    ),
    (
        "tune library --data {good} --trials 2 -o {tmp}/t --search model.neighbours=5|10 "
        "--objective beauty",
        2,
        ["beauty", "separation"],
    ),
    (
        "tune library --data {good} --trials 2 -o {tmp}/t --search model.neighbours=5|10 "
        "--objective fpd",
        2,
        ["fpd", "100 showers"],
    ),
    (
        "tune library --data {good} --validation {good} --trials 2 -o {tmp}/t "
        "--search model.neighbours=5|10",
        1,
        ["showers.h5", "training data"],
    ),
    ("generate {tmp}/none --energy 50 -o {tmp}/o.h5", 1, ["none", "caloforge train"]),
    ("generate {models}/library --energy ten -o {tmp}/o.h5", 2, ["--energy", "ten"]),
    ("generate {models}/library --energy -5 -o {tmp}/o.h5", 2, ["--energy"]),
    ("generate {models}/library -o {tmp}/o.h5", 2, ["--energy", "--like"]),
    ("generate {models}/library --energy 50 -n 0 -o {tmp}/o.h5", 2, ["-n"]),
    ("generate {models}/library --energy 50 -o {tmp}/no/o.h5", 1, ["mkdir -p"]),
    ("generate {models}/library --energy 50 -o {tmp}/o.h5 --engine abacus", 2, ["abacus", "torch"]),
    ("generate {models}/library --like {tmp}/none.h5 -o {tmp}/o.h5", 1, ["none.h5"]),
    ("validate {good} {models}/small.h5 -o {tmp}/r", 2, ["small", "lcd-ecal-25"]),
    ("validate {good} {tmp}/text.h5 -o {tmp}/r", 1, ["text.h5"]),
    ("validate {good} {good} -o {tmp}/no/r", 1, ["mkdir -p"]),
    ("export {models}/library -o {tmp}/o.onnx", 1, ["library", "run its folder with"]),
    ("export {models}/gan -o {tmp}/no/o.onnx", 1, ["mkdir -p"]),
    ("export {models}/gan -o {tmp}/o.onnx --target tensorrt", 2, ["tensorrt", "onnx"]),
    ("info {tmp}/none.h5", 1, ["none.h5"]),
    ("info {tmp}", 1, ["folder"]),
    ("bench generate {models}/library --batch a", 2, ["--batch"]),
    ("bench generate {tmp}/none", 1, ["none"]),
    ("quickstart -o {tmp}/no/q", 1, ["mkdir -p"]),
    ("fly", 2, ["fly"]),
]


@pytest.mark.parametrize(("line", "code", "words"), BAD, ids=[row[0] for row in BAD])
def test_bad_input_is_one_line_and_leaves_nothing(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    line: str,
    code: int,
    words: list[str],
) -> None:
    names = make(folder, tmp_path)
    before = sorted(p.name for p in tmp_path.iterdir())
    assert run([word.format(**names) for word in line.split()]) == code
    text = capsys.readouterr().err
    for word in words:
        assert word in text
    assert "Traceback" not in text
    if "Usage:" not in text:
        assert text.startswith("caloforge: error: ")
        assert text.count("\n") == 1
    left = sorted(p.name for p in tmp_path.iterdir())
    assert left == before


def test_a_model_for_another_geometry(folder: Path, tmp_path: Path) -> None:
    made = tmp_path / "made.h5"
    request = ["generate", str(folder / "library"), "--energy", "50", "-n", "3", "-o", str(made)]
    assert run([*request, "--quiet"]) == 0
    assert run(["validate", str(folder / "small.h5"), str(made), "-o", str(tmp_path / "r")]) == 2
    assert not (tmp_path / "r").exists()


def test_progress_stays_off_when_not_on_a_terminal(folder: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "COLUMNS": "80"}
    done = subprocess.run(
        [sys.executable, "-m", "caloforge", "convert", str(folder / "showers.h5"), "-o", "o.h5"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=environment,
    )
    assert done.stderr == ""
    assert done.stdout == "o.h5: 40 showers\n"


def test_every_command_is_registered() -> None:
    names = {command.name for command in app.registered_commands}
    assert names == set(COMMANDS)


def test_an_interrupt_that_python_ignores_is_heard() -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        thing = type("Thing", (), {})()
        reference = weakref.ref(thing, interrupt)
        with pytest.raises(KeyboardInterrupt), heard():
            del thing
            time.sleep(10)
        assert reference() is None
    finally:
        signal.signal(signal.SIGINT, before)
