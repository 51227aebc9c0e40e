"""Processes of a training, for tests, in the environment of torchrun or srun.

Toy models are in double precision and published ones take plain gradient steps: so what several
processes add up in another order does not grow, and the size of gradients matters.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.environments.lightning import find_free_network_port

from caloforge.errors import CaloforgeError
from caloforge.geometry import load_detector
from caloforge.models import GradientModel, ModelConfig, TrainingBatch, Update, build_model
from caloforge.showers import Showers
from caloforge.train import TrainingConfig, fit_model
from caloforge.train.processes import find_processes
from helpers import random_showers, small_calorimeter
from toy_models import TOYS


def showers_of(request: dict[str, Any]) -> Showers:
    if "detector" in request:
        calorimeter = load_detector(request["detector"])
        return random_showers(request["showers"], calorimeter, occupancy=0.02)
    return random_showers(request["showers"], small_calorimeter())


def model_of(request: dict[str, Any], showers: Showers) -> GradientModel:
    torch.manual_seed(3)
    if request["kind"] in TOYS:
        return TOYS[request["kind"]](showers.calorimeter, ModelConfig()).double()
    model = build_model(request["kind"], showers.calorimeter, request.get("model"))
    assert isinstance(model, GradientModel)
    plain: dict[str, torch.optim.Optimizer] = {
        name: torch.optim.SGD(
            [p for group in optimizer.param_groups for p in group["params"]], request["rate"]
        )
        for name, optimizer in model.optimizers().items()
    }
    model._optimizers = plain  # type: ignore[assignment]
    model.optimizers = lambda: plain  # type: ignore[method-assign]
    return model


def disturb(model: GradientModel, request: dict[str, Any]) -> None:
    """Let what the request wants happen at a step."""
    original, rank = model.training_step, find_processes().rank
    count = 0

    def training_step(batch: TrainingBatch, update: Update) -> dict[str, torch.Tensor]:
        nonlocal count
        count += 1
        what = request["what"] if (request["rank"], request["at"]) == (rank, count) else ""
        if what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "stop":
            os.kill(os.getpid(), signal.SIGTERM)
        energy = batch.energy * (torch.nan if what == "nan" else 1.0)
        return original(TrainingBatch(batch.condition, energy), update)

    model.training_step = training_step  # type: ignore[method-assign]


def work(request: dict[str, Any]) -> GradientModel:
    """Train as the request says; returns the model."""
    showers = showers_of(request)
    model = model_of(request, showers)
    if "what" in request:
        disturb(model, request)
    config = TrainingConfig(accelerator="cpu", **request["training"])
    fit_model(model, showers, config, Path(request["output"]), resume=request.get("resume", False))
    return model


def processes(
    request: dict[str, Any], world: int, launcher: str = "torchrun"
) -> list[tuple[int, str]]:
    """Exit code of every process, and a digest of its weights or what it raised."""
    port = find_free_network_port()
    context = multiprocessing.get_context("forkserver")  # imports everything once
    context.set_forkserver_preload(["training_process"])
    started = []
    for rank in range(world):
        mine, theirs = context.Pipe(duplex=False)
        given = variables(launcher, rank, world, port)
        process = context.Process(target=_child, args=(request, given, theirs))
        process.start()
        theirs.close()
        started.append((process, mine))
    ended = []
    for process, mine in started:
        try:
            said = mine.recv() if mine.poll(300) else "says nothing"
        except EOFError:
            said = "died"
        process.join(60)
        ended.append((process.exitcode or 0, said))
    return ended


def variables(launcher: str, rank: int, world: int, port: int) -> dict[str, str]:
    """What torchrun or srun would set on one machine."""
    if launcher == "torchrun":
        names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "LOCAL_WORLD_SIZE": world}
    else:
        names = {
            "SLURM_NTASKS": world,
            "SLURM_NTASKS_PER_NODE": world,
            "SLURM_NNODES": 1,
            "SLURM_PROCID": rank,
            "SLURM_LOCALID": rank,
            "SLURM_NODEID": 0,
            "SLURM_STEP_ID": 0,
            "SLURM_JOB_ID": 71,
        }
    chosen = {**names, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return {name: str(value) for name, value in chosen.items()}


def _child(request: dict[str, Any], given: dict[str, str], answers: Connection) -> None:
    os.environ.update(given)
    try:
        model = work(request)
    except CaloforgeError as error:
        answers.send(f"{type(error).__name__}: {error}")
        sys.exit(1)
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(name.encode() + value.detach().contiguous().numpy().tobytes())
    answers.send(digest.hexdigest())
