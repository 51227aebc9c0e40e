"""Several processes train as one: same losses, same weights, stop together, survive a loss."""

from __future__ import annotations

import csv
import io
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from caloforge.api import train
from caloforge.artifact import read_description
from caloforge.cli.entry import run
from caloforge.errors import ConfigError, OutputError, TrainingError
from caloforge.store import write_showers
from caloforge.train.launch import launch
from caloforge.train.processes import Processes, find_processes
from caloforge.train.served import _stop_with_parent
from helpers import random_showers
from training_process import model_of, processes, showers_of, variables, work

Request = dict[str, Any]


def log(folder: Path) -> list[dict[str, float]]:
    with (folder / "training" / "metrics.csv").open() as stream:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(stream)]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "weights.safetensors")


def same_log(a: Path, b: Path, relative: float) -> None:
    one, two = log(a), log(b)
    assert [row["step"] for row in one] == [row["step"] for row in two]
    for first, second in zip(one, two, strict=True):
        assert second == pytest.approx(first, rel=relative, nan_ok=True)


def same_weights(a: Path, b: Path, tolerance: float) -> None:
    one, two = weights(a), weights(b)
    for name, value in one.items():
        assert torch.allclose(value, two[name], rtol=tolerance, atol=tolerance), name


def request_for(kind: str, output: Path, showers: int = 13, **training: Any) -> Request:
    return {"kind": kind, "showers": showers, "output": str(output), "training": training}


# ------------------------------------------------------------------ as one process


def test_3dgan_on_two_processes_is_3dgan_on_one(tmp_path: Path) -> None:
    """2 ranks x B/2 against 1 x B: losses and weights of both networks, batch norms with them."""
    asked = {"showers": 5, "detector": "lcd-ecal-25", "rate": 1e-7}
    training = {"batch_size": 2, "max_steps": 3}
    one, two = (
        {**request_for("3dgan", tmp_path / name, **training), **asked} for name in ("one", "two")
    )
    work(one)
    (code, first), (other_code, second) = processes(two, 2)
    assert (code, other_code) == (0, 0)
    assert first == second  # bit for bit
    for row, other in zip(log(tmp_path / "one"), log(tmp_path / "two"), strict=True):
        assert other == pytest.approx(row, rel=1e-3)
    before = model_of(one, showers_of(one)).state_dict()
    alone, shared = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name, value in alone.items():
        moved = (value.double() - before[name].double()).norm()
        apart = (shared[name].double() - value.double()).norm()
        assert apart <= 0.02 * moved + 1e-6 * value.double().norm(), name


@pytest.mark.parametrize("kind", ["toy-normalised", "toy-gan"])
def test_three_processes_agree_to_the_last_digits(tmp_path: Path, kind: str) -> None:
    training = {"batch_size": 6, "max_steps": 3}
    parts = {"accumulate": 2} if kind == "toy-gan" else {}
    work(request_for(kind, tmp_path / "one", **training))
    said = processes(request_for(kind, tmp_path / "three", **training, **parts), 3)
    assert [code for code, _ in said] == [0, 0, 0], said
    assert len({digest for _, digest in said}) == 1
    same_log(tmp_path / "one", tmp_path / "three", 1e-12)
    same_weights(tmp_path / "one", tmp_path / "three", 1e-12)


SMALL_LAYERED = {
    "encoder": [16], "decoder": [16], "bins": 8, "spectra_grid": 4, "spectra_knots": 4,
    "components": 2, "width": 4, "energy_memory": 8, "shape_memory": 8, "cell_steps": 2,
    "energy_steps": 2, "shape_steps": 2, "refine_steps": 2,
}  # fmt: skip


def test_layered_on_two_processes_is_layered_on_one(tmp_path: Path) -> None:
    """One loss a step, hits of variable number, three phases, random mirror images and draws."""
    training = {"batch_size": 8, "max_steps": 6}
    asked = {"model": SMALL_LAYERED, "rate": 1e-3}
    one, two = (
        {**request_for("layered", tmp_path / name, 40, **training), **asked}
        for name in ("one", "two")
    )
    work(one)
    said = processes(two, 2, "slurm")
    assert [code for code, _ in said] == [0, 0]
    assert said[0] == said[1]
    same_log(tmp_path / "one", tmp_path / "two", 1e-4)
    same_weights(tmp_path / "one", tmp_path / "two", 1e-5)


# ------------------------------------------------------------------ together to the end


def test_a_lost_process_ends_the_others_and_nothing_is_lost(tmp_path: Path) -> None:
    """kill -9 in step 5; one process goes on from the checkpoint of step 4."""
    training = {"batch_size": 4, "checkpoint_every": 2, "max_steps": 8}
    whole = request_for("toy-one-loss", tmp_path / "whole", **training)
    torn = request_for("toy-one-loss", tmp_path / "torn", **training)
    said = processes({**torn, "what": "kill", "rank": 1, "at": 5}, 2)
    assert said[1][0] == -9
    assert said[0][0] == 1
    assert "another process of this training is gone" in said[0][1]
    assert "--resume" in said[0][1]
    work(whole)
    work({**torn, "resume": True})
    same_log(tmp_path / "whole", tmp_path / "torn", 1e-12)
    same_weights(tmp_path / "whole", tmp_path / "torn", 1e-12)


def test_all_stop_after_the_same_step_when_one_is_asked_to(tmp_path: Path) -> None:
    """SIGTERM at the second process; two processes go on where three stopped."""
    training = {"batch_size": 6, "max_steps": 6}
    torn = request_for("toy-normalised", tmp_path / "torn", **training)
    said = processes({**torn, "what": "stop", "rank": 1, "at": 3}, 3, "slurm")
    assert [code for code, _ in said] == [1, 1, 1]
    assert all("interrupted after step 3 of 6" in text for _, text in said)
    assert [row["step"] for row in log(tmp_path / "torn")] == [1, 2, 3]
    said = processes({**torn, "resume": True}, 2)
    assert [code for code, _ in said] == [0, 0]
    work(request_for("toy-normalised", tmp_path / "whole", **training))
    same_log(tmp_path / "whole", tmp_path / "torn", 1e-12)
    same_weights(tmp_path / "whole", tmp_path / "torn", 1e-12)


def test_a_bad_loss_on_one_process_stops_all_and_is_named(tmp_path: Path) -> None:
    request = request_for("toy-one-loss", tmp_path / "m", batch_size=4, max_steps=6)
    said = processes({**request, "what": "nan", "rank": 1, "at": 3}, 2)
    assert said[0] == said[1]
    assert said[0][0] == 1
    assert "step 2: loss 'all/mse' is nan" in said[0][1]


# ------------------------------------------------------------------ started by caloforge


def layered_options(steps: int) -> list[str]:
    model = [f"model.{name}={value}" for name, value in SMALL_LAYERED.items()]
    wanted = [
        *model,
        "model.condition=[energy]",
        "detector=null",
        "training.batch_size=8",
        f"training.max_steps={steps}",
    ]
    return [*wanted, "training.log_every=1"]


def test_the_command_line_starts_processes(tmp_path: Path) -> None:
    data = write_showers(tmp_path / "a.h5", random_showers(40))
    options = [word for option in layered_options(3) for word in ("--set", option)]
    folder = tmp_path / "m"
    command = ["train", "layered", "--data", str(data), "-o", str(folder), "--devices", "2"]
    assert run([*command, *options]) == 0
    source = read_description(folder)["provenance"]["source"]
    assert source["training_processes"] == 2
    assert source["training_steps"] == 3
    assert source["showers_per_second"] > 0
    train("layered", data, folder, overrides=layered_options(4), resume=True)
    assert [row["step"] for row in log(folder)] == [1, 2, 3, 4]
    alone = train("layered", data, tmp_path / "alone", overrides=layered_options(4))
    assert np.allclose(log(folder)[3]["energies/total"], log(alone)[3]["energies/total"], rtol=1e-3)
    with pytest.raises(TrainingError, match="--resume"):  # comes from the first process
        (folder / "artifact.json").unlink()
        train("layered", data, folder, overrides=[*layered_options(4), "training.devices=2"])


CHILD = """
import json, os, signal, sys, time
rank = int(os.environ["RANK"])
what = json.loads(sys.stdin.readline())["do"][rank]
if what == "die":
    print("out of memory", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
if what == "hang":
    time.sleep(600)
if what == "wait":
    stops = []
    signal.signal(signal.SIGTERM, lambda *_: stops.append(1))
    open(f"ready{rank}", "w").close()
    while not stops:
        time.sleep(0.01)
    time.sleep(0.2)
    what = f"interrupted by {len(stops)} signal"
error = {"kind": "OutputError", "text": what, "lost": what == "gone", "trace": ""}
print(json.dumps({"result": rank} if what == "work" else {"error": error}))
sys.exit(what != "work")
"""


@pytest.mark.parametrize(
    ("do", "error", "word"),
    [
        (
            ["hang", "die"],
            TrainingError,
            r"process 1 of 2 died: SIGKILL \(out of memory\);.*--resume",
        ),
        (["gone", "die"], TrainingError, "process 1 of 2 died: SIGKILL"),
        (["gone", "full disk"], OutputError, "full disk"),
        (["full disk", "hang"], OutputError, "full disk"),
    ],
)
def test_the_first_cause_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    do: list[str],
    error: type[Exception],
    word: str,
) -> None:
    monkeypatch.setattr(sys.modules[launch.__module__], "GRACE", 0.1)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "some_child.py").write_text(CHILD)
    assert launch("some_child", {"do": ["work", "work"]}, 2) == 0
    with pytest.raises(error, match=word):
        launch("some_child", {"do": do}, 2)


def test_ctrl_c_is_passed_on_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some_child.py").write_text(CHILD)

    def interrupt() -> None:
        while not all((tmp_path / f"ready{rank}").exists() for rank in range(2)):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(OutputError, match="interrupted by 1 signal"):
        launch("some_child", {"do": ["wait", "wait"]}, 2)
    thread.join()


def test_a_process_stops_when_its_parent_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *what: sent.append(what))
    _stop_with_parent(io.BytesIO())
    assert sent == [(os.getpid(), signal.SIGTERM)]


def test_a_run_that_is_started_again_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slurm's requeue and torchrun's restarts repeat the command, without --resume."""
    request = request_for("toy-one-loss", tmp_path / "m", batch_size=4, max_steps=2)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    work(request)  # died before its first checkpoint
    (tmp_path / "m" / "artifact.json").unlink()
    again = request_for("toy-one-loss", tmp_path / "m", batch_size=4, max_steps=4)
    work(again)
    assert [row["step"] for row in log(tmp_path / "m")] == [1, 2, 3, 4]
    monkeypatch.delenv("SLURM_RESTART_COUNT")
    with pytest.raises(OutputError, match="already holds a model"):
        work(again)


# ------------------------------------------------------------------ found in the environment


def test_torchrun_and_slurm_are_recognised() -> None:
    assert find_processes({}) == Processes()
    torchrun = {
        "RANK": "5", "LOCAL_RANK": "1", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4",
        "GROUP_WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1",
    }  # fmt: skip
    assert find_processes(torchrun) == Processes("torchrun", 5, 8, 4, 2)
    again = {**torchrun, "TORCHELASTIC_RESTART_COUNT": "1"}
    assert find_processes(again).restarted
    slurm = {
        "SLURM_NTASKS": "8", "SLURM_PROCID": "5", "SLURM_LOCALID": "1", "SLURM_STEP_ID": "0",
        "SLURM_NTASKS_PER_NODE": "4", "SLURM_NNODES": "2", "SLURM_RESTART_COUNT": "2",
    }  # fmt: skip
    assert find_processes(slurm) == Processes("slurm", 5, 8, 4, 2, restarted=True)
    alone = {"SLURM_NTASKS": "1", "SLURM_STEP_ID": "0"}
    assert find_processes(alone) == Processes()


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "4"}, "srun caloforge train"),
        ({"SLURM_NTASKS": "4", "SLURM_STEP_ID": "0"}, "--ntasks-per-node"),
        ({"SLURM_NTASKS": "four"}, "SLURM_NTASKS='four'"),
        (
            {
                "SLURM_NTASKS": "3", "SLURM_STEP_ID": "0", "SLURM_NTASKS_PER_NODE": "2",
                "SLURM_NNODES": "2", "SLURM_PROCID": "0",
            },
            "equally many",
        ),
    ],
)  # fmt: skip
def test_half_a_launch_is_an_error(given: dict[str, str], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        find_processes(given)


def test_unequal_shares_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables("torchrun", 0, 3, 29400).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=r"batch_size 4 .* 3 processes"):
        work(request_for("toy-gan", tmp_path / "m", batch_size=4))
    with monkeypatch.context() as alone, pytest.raises(ConfigError, match="this is one process"):
        alone.delenv("RANK")
        work(request_for("toy-gan", tmp_path / "m", batch_size=6, devices=2))
    with pytest.raises(ConfigError, match="training.devices=2, but torchrun started 3"):
        work(request_for("toy-gan", tmp_path / "m", batch_size=6, devices=2))
    data = write_showers(tmp_path / "a.h5", random_showers(40))
    with pytest.raises(ConfigError, match="fitted in one go, by one process"):
        train("library", data, tmp_path / "l")
