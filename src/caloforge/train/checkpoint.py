"""Everything a training run needs to go on bit for bit, in one safetensors file, no pickle.

As batches and random numbers are functions of (seed, step), the state is the model's tensors, the
optimizers' tensors, the moving average's if there is one, and the number of steps done.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from caloforge.artifact import save_tensors
from caloforge.atomic import atomic_file
from caloforge.errors import TrainingError
from caloforge.train.averages import MovingAverage

FILE = "checkpoint.safetensors"
Optimizers = Mapping[str, torch.optim.Optimizer]


def save_checkpoint(
    path: Path,
    model: torch.nn.Module,
    optimizers: Optimizers,
    step: int,
    seconds: float,
    identity: Mapping[str, Any],
    average: MovingAverage | None = None,
) -> None:
    """Write the state after ``step`` steps and ``seconds``; ``identity`` says of which run.

    Raises:
        OutputError: the disk is full.
    """
    tensors = {f"model/{name}": value for name, value in model.state_dict().items()}
    for name, optimizer in optimizers.items():
        for number, entries in optimizer.state_dict()["state"].items():
            for key, value in entries.items():
                tensors[f"optimizer/{name}/{number}/{key}"] = torch.as_tensor(value)
    if average is not None:
        tensors |= {f"average/{name}": value for name, value in average.state.items()}
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    metadata = {
        "step": str(step),
        "seconds": str(seconds),
        "identity": json.dumps(identity, sort_keys=True),
    }
    with atomic_file(path) as partial:
        save_tensors(plain, partial, metadata)


def load_checkpoint(
    path: Path,
    model: torch.nn.Module,
    optimizers: Optimizers,
    identity: Mapping[str, Any],
    average: MovingAverage | None = None,
) -> tuple[int, float]:
    """Restore model, optimizers and average; return the number of steps done and their seconds.

    Raises:
        TrainingError: no checkpoint, damaged, or of another run.
    """
    if not path.exists():
        raise TrainingError(f"{path}: no checkpoint to resume from; start without --resume")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            _require_identity(path, json.loads(metadata["identity"]), identity)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        model.load_state_dict(_below(tensors, "model/"))
        for name, optimizer in optimizers.items():
            _restore(optimizer, _below(tensors, f"optimizer/{name}/"))
        if average is not None:
            average.restore(_below(tensors, "average/"))
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        raise TrainingError(
            f"{path}: damaged checkpoint ({' '.join(str(error).split())[:150]}); "
            "start again without --resume"
        ) from error
    return int(metadata["step"]), float(metadata["seconds"])


def _below(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _restore(optimizer: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]) -> None:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        number, key = name.split("/")
        state.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def _require_identity(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    now = json.loads(json.dumps(wanted))
    for key in {**now, **found}:
        if found.get(key) != now.get(key):
            raise TrainingError(
                f"{path}: belongs to another run: {key} was {found.get(key)}, now {now.get(key)}; "
                "resume with the same recipe, data and seed, or start without --resume"
            )
