"""Training: resumes bit for bit, stops early on NaN, logs everything, leaves a full artifact."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from caloforge.api import train
from caloforge.artifact import load_artifact, read_description
from caloforge.config import load_recipe
from caloforge.data import BatchPlan, MemoryBlocks, load_sample
from caloforge.errors import (
    ConfigError,
    FormatError,
    GeometryError,
    ModelError,
    OutputError,
    ShowerError,
    TrainingError,
)
from caloforge.models import build_model
from caloforge.models.threedgan import ThreeDGAN
from caloforge.showers import Incident, Showers
from caloforge.store import write_showers
from caloforge.train import TrainingConfig, fit_model
from caloforge.train.metrics_csv import MetricsCsv
from helpers import lcd_showers, random_showers

FAST = ["training.batch_size=2", "training.checkpoint_every=2", "training.precision=32-true"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_showers(tmp_path_factory.mktemp("data") / "train.h5", lcd_showers(9))


def steps(n: int) -> list[str]:
    return [*FAST, f"training.max_steps={n}"]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "weights.safetensors")


def same_weights(a: Path, b: Path) -> bool:
    first, second = weights(a), weights(b)
    return set(first) == set(second) and all(torch.equal(first[k], second[k]) for k in first)


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six steps in one go: more than an epoch of four."""
    output = tmp_path_factory.mktemp("whole") / "model"
    return train("3dgan", data, output, overrides=steps(6))


def test_the_same_seed_gives_the_same_model(data: Path, whole: Path, tmp_path: Path) -> None:
    again = train("3dgan", data, tmp_path / "m", overrides=steps(6))
    assert same_weights(whole, again)
    other = train("3dgan", data, tmp_path / "n", overrides=[*steps(6), "training.seed=2"])
    assert not same_weights(whole, other)


def test_resuming_is_bit_for_bit(data: Path, whole: Path, tmp_path: Path) -> None:
    train("3dgan", data, tmp_path / "m", overrides=steps(3))
    resumed = train("3dgan", data, tmp_path / "m", overrides=steps(6), resume=True)
    assert same_weights(whole, resumed)
    logs = [(f / "training" / "metrics.csv").read_text() for f in (whole, resumed)]
    assert logs[0] == logs[1]


KILLED = """
import sys
from caloforge.api import train
train("3dgan", sys.argv[1], sys.argv[2], overrides=sys.argv[3:])
"""


def test_a_killed_run_resumes_bit_for_bit(data: Path, whole: Path, tmp_path: Path) -> None:
    """kill -9 in the middle of a step, after the checkpoint of step 2."""
    folder = tmp_path / "m"
    command = [sys.executable, "-c", KILLED, str(data), str(folder), *steps(500)]
    with subprocess.Popen(command) as process:
        log = folder / "training" / "metrics.csv"
        end = time.monotonic() + 120
        while time.monotonic() < end and process.poll() is None:
            if log.exists() and log.read_text().count("\n") >= 4:
                break
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    rows = [int(row["step"]) for row in csv.DictReader(log.open())]
    assert max(rows) >= 3
    if max(rows) > 6:
        pytest.skip("this machine was too fast to kill it before step 6")
    with pytest.raises(ModelError, match="--resume"):
        load_artifact(folder)
    resumed = train("3dgan", data, folder, overrides=steps(6), resume=True)
    assert same_weights(whole, resumed)
    assert log.read_text() == (whole / "training" / "metrics.csv").read_text()


def test_ctrl_c_loses_nothing(data: Path, whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    log = folder / "training" / "metrics.csv"

    def interrupt() -> None:
        end = time.monotonic() + 120
        while time.monotonic() < end and not log.exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(TrainingError, match="--resume"):
        train("3dgan", data, folder, overrides=steps(500))
    thread.join()
    done = max(int(row["step"]) for row in csv.DictReader(log.open()))
    if done > 6:
        pytest.skip("this machine was too fast to stop it before step 6")
    resumed = train("3dgan", data, folder, overrides=steps(6), resume=True)
    assert same_weights(whole, resumed)


def test_resume_needs_the_same_run(data: Path, tmp_path: Path) -> None:
    folder = train("3dgan", data, tmp_path / "m", overrides=steps(1))
    with pytest.raises(TrainingError, match="seed"):
        train("3dgan", data, folder, overrides=[*steps(2), "training.seed=5"], resume=True)
    with pytest.raises(TrainingError, match="config"):
        changed = [*steps(2), "model.label_flips=0.2"]
        train("3dgan", data, folder, overrides=changed, resume=True)
    with pytest.raises(TrainingError, match="no checkpoint"):
        train("3dgan", data, tmp_path / "new", overrides=steps(2), resume=True)
    checkpoint = folder / "training" / "checkpoint.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:5000])
    with pytest.raises(TrainingError, match="damaged checkpoint"):
        train("3dgan", data, folder, overrides=steps(2), resume=True)


def test_a_folder_with_a_model_or_a_run_is_not_overwritten(data: Path, tmp_path: Path) -> None:
    folder = train("3dgan", data, tmp_path / "m", overrides=steps(1))
    with pytest.raises(OutputError, match="already holds a model"):
        train("library", data, folder)
    (folder / "artifact.json").unlink()
    with pytest.raises(TrainingError, match="unfinished run"):
        train("3dgan", data, folder, overrides=steps(2))
    with pytest.raises(TrainingError, match="max_steps"):
        train(
            "3dgan",
            data,
            train("3dgan", data, tmp_path / "n", overrides=steps(2)),
            overrides=steps(1),
            resume=True,
        )


def test_the_log_survives_kills_at_any_place(tmp_path: Path) -> None:
    """Sparse logging, a row cut short, resumes without rows: never a double or a bad line."""
    path = tmp_path / "metrics.csv"
    losses = {"a": 1.0, "b": 2.0}
    log = MetricsCsv(path, 0)
    for step in (3, 6):
        log.write(step, 0, losses)
    with path.open("a") as stream:
        stream.write("9,0,1.")
    for start, expected in ((7, [3, 6]), (4, [3]), (2, []), (2, [])):
        MetricsCsv(path, start)
        with path.open() as stream:
            assert [int(row["step"]) for row in csv.DictReader(stream)] == expected
    MetricsCsv(path, 2).write(3, 0, losses)
    assert path.read_text().splitlines() == ["step,epoch,a,b", "3,0,1.0,2.0"]


FULL_DISK = """
import resource, signal, sys
from caloforge.cli.entry import run
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
sys.exit(run(["train", "library", "--data", sys.argv[1], "-o", sys.argv[2]]))
"""


def test_a_full_disk_at_the_end_of_training(tmp_path: Path) -> None:
    data = write_showers(tmp_path / "a.h5", lcd_showers(60))
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(data), str(tmp_path / "m")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "weights.safetensors" in done.stderr
    assert "disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "m").iterdir()) == []


def test_training_works_outside_the_main_thread(data: Path, tmp_path: Path) -> None:
    made: list[Path] = []
    thread = threading.Thread(
        target=lambda: made.append(train("3dgan", data, tmp_path / "m", overrides=steps(1)))
    )
    thread.start()
    thread.join()
    assert load_artifact(made[0]).model.kind == "3dgan"


def test_metrics_go_to_csv_and_tensorboard(whole: Path) -> None:
    rows = list(csv.DictReader((whole / "training" / "metrics.csv").open()))
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [int(row["epoch"]) for row in rows] == [0, 0, 0, 0, 1, 1]
    assert {"generator/energy", "discriminator/real/real_or_fake"} <= set(rows[0])
    assert all(np.isfinite(float(row["generator/sum"])) for row in rows)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(whole / "training" / "tensorboard"))
    events.Reload()
    logged = [event.value for event in events.Scalars("generator/sum")]
    assert logged == pytest.approx([float(row["generator/sum"]) for row in rows], rel=1e-5)


def test_the_artifact_describes_itself(data: Path, whole: Path) -> None:
    description = read_description(whole)
    assert description["kind"] == "3dgan"
    assert description["parameters"] == 872_808 + 73_402
    assert description["preprocessing"]["cells"] == {"factor": 100.0, "threshold": 0.001}
    provenance = description["provenance"]
    assert provenance["seed"] == 1
    assert list(provenance["inputs"]) == ["train.h5"]
    assert provenance["parents"][0]["step"] == "test"
    assert provenance["config"]["training"]["max_steps"] == 6
    assert provenance["source"]["training_steps"] == 6
    artifact = load_artifact(whole)
    assert artifact.calorimeter.name == "lcd-ecal-25"
    assert isinstance(artifact.model, ThreeDGAN)


def test_nan_stops_at_once_and_names_the_culprit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    showers = lcd_showers(6)
    model = build_model("3dgan", showers.calorimeter)
    assert isinstance(model, ThreeDGAN)
    original = model._judge
    calls = 0

    def poisoned(*args: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        total, parts = original(*args, **options)  # type: ignore[arg-type]
        if calls > 8:  # the third step's discriminator on real showers
            parts["sum"] = parts["sum"] * float("nan")
            total = total * float("nan")
        return total, parts

    monkeypatch.setattr(model, "_judge", poisoned)
    config = TrainingConfig(batch_size=2, max_steps=30, checkpoint_every=2)
    with pytest.raises(TrainingError, match=r"step 2: loss 'discriminator/sum' is nan"):
        fit_model(model, showers, config, tmp_path / "m")
    assert calls == 9
    with pytest.raises(ModelError):
        load_artifact(tmp_path / "m")


def test_a_bad_gradient_names_its_parameter(tmp_path: Path) -> None:
    showers = lcd_showers(6)
    model = build_model("3dgan", showers.calorimeter)
    assert isinstance(model, ThreeDGAN)
    model.generator.dense.weight.register_hook(lambda g: g * float("inf"))
    config = TrainingConfig(batch_size=2, max_steps=30)
    with pytest.raises(TrainingError, match=r"gradient of 'generator\.dense\.weight'"):
        fit_model(model, showers, config, tmp_path / "m")


def test_library_trains_on_any_calorimeter(tmp_path: Path) -> None:
    data = write_showers(tmp_path / "a.h5", random_showers(12))
    folder = train("library", data, tmp_path / "m")
    assert load_artifact(folder).model.kind == "library"


def test_several_files_are_one_sample(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    files = [write_showers(tmp_path / f"{k}.h5", random_showers(5, seed=k)) for k in range(3)]
    assert len(load_sample(files)) == 15
    assert (
        len(read_description(train("library", files, tmp_path / "m"))["provenance"]["inputs"]) == 3
    )


def test_warm_start_begins_where_the_other_ended(data: Path, whole: Path, tmp_path: Path) -> None:
    tiny = [*steps(1), f"start_from={whole}", "model.learning_rate=1e-12"]
    warm = train("3dgan", data, tmp_path / "m", overrides=tiny)
    before, after = weights(whole), weights(warm)
    for key in before:
        if "running" not in key and "num_batches" not in key:
            assert torch.allclose(before[key], after[key], atol=1e-9), key
    library = train("library", data, tmp_path / "l")
    with pytest.raises(ModelError, match="same kind"):
        train("3dgan", data, tmp_path / "n", overrides=[*steps(1), f"start_from={library}"])
    with pytest.raises(ModelError, match="no such model"):
        train("3dgan", data, tmp_path / "n", overrides=[*steps(1), "start_from=nothing"])


def test_bad_training_input(data: Path, tmp_path: Path) -> None:
    with pytest.raises(GeometryError, match="lcd-ecal-25"):
        other = write_showers(tmp_path / "small.h5", random_showers(4))
        train("3dgan", other, tmp_path / "m")
    with pytest.raises(FormatError, match="no such file"):
        train("3dgan", tmp_path / "none.h5", tmp_path / "m")
    with pytest.raises(ConfigError, match="batch_size"):
        train("3dgan", data, tmp_path / "m", overrides=["training.batch_size=64"])
    with pytest.raises(OutputError, match="mkdir"):
        train("library", data, tmp_path / "none" / "m")
    calorimeter = random_showers(1).calorimeter
    empty = Showers(calorimeter, Incident({"energy": [1e3]}), [0, 0], [], [])
    with pytest.raises(ShowerError, match="empty"):
        train("library", write_showers(tmp_path / "e.h5", empty), tmp_path / "m")


# ------------------------------------------------------------------ recipes and batches


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("training.epoch=3", ["epoch", "epochs"]),
        ("model.colour=3", ["colour", "latent_size"]),
        ("colour=3", ["colour", "training"]),
        ("training.epochs=-1", ["epochs", "-1"]),
        ("training.epochs", ["key=value"]),
        ("model.kind=oracle", ["oracle", "library"]),
        ("training.precision=64", ["precision"]),
        ("detector.name=x", ["detector"]),
    ],
)
def test_wrong_recipe_keys_are_named(override: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_recipe("3dgan", [override])
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "word"), [("model: [", "YAML"), ("- 1", "mapping"), ("model: {}", "kind")]
)
def test_wrong_recipe_files(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=word):
        load_recipe(path)
    with pytest.raises(ConfigError, match="3dgan"):
        load_recipe("no-such-recipe")


def test_every_epoch_visits_each_shower_once() -> None:
    blocks = MemoryBlocks(random_showers(20)).blocks
    plan = BatchPlan(blocks, batch_size=5, seed=3)
    epochs = [np.concatenate([plan.rows(4 * epoch + k) for k in range(4)]) for epoch in range(3)]
    assert all(sorted(rows) == list(range(20)) for rows in epochs)
    assert not np.array_equal(epochs[0], epochs[1])
    assert np.array_equal(plan.rows(7), BatchPlan(blocks, 5, 3).rows(7))
    assert not np.array_equal(plan.rows(7), BatchPlan(blocks, 5, 4).rows(7))


def test_an_incomplete_last_batch_is_left_out() -> None:
    plan = BatchPlan(MemoryBlocks(random_showers(23)).blocks, batch_size=5, seed=0)
    assert plan.steps_per_epoch == 4
    assert len(set(np.concatenate([plan.rows(k) for k in range(4)]))) == 20
