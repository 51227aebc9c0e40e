"""``python -m caloforge.bench.exchange``: one of the processes that time sums over all of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import distributed

from caloforge.geometry import load_detector
from caloforge.models import GradientModel, TrainingBatch, build_model
from caloforge.models.shared_norm import share_statistics
from caloforge.train.collectives import average_gradients
from caloforge.train.served import serve

SIZES = (4, 1 << 10, 1 << 14, 1 << 18, 1 << 20, 1 << 22, 1 << 24)
"""Bytes."""

ROUNDS = 12


def work(request: dict[str, Any]) -> dict[str, Any]:
    """Times of sums by size, and the sizes of those of one training step."""
    distributed.init_process_group("gloo")
    try:
        seconds = [_time(size) for size in SIZES]
        return {"sizes": SIZES, "seconds": seconds, "messages": _messages(request["kind"])}
    finally:
        distributed.destroy_process_group()


def _time(size: int) -> float:
    """Median seconds of a sum, after two to warm up."""
    numbers = torch.zeros(size // 4)
    times = []
    for _ in range(ROUNDS):
        distributed.barrier()
        begin = time.perf_counter()
        distributed.all_reduce(numbers)
        times.append(time.perf_counter() - begin)
    return float(np.median(times[2:]))


def _messages(kind: str) -> list[int]:
    """Bytes of every sum in one training step of a model, with one shower per process."""
    calorimeter = load_detector("lcd-ecal-25")
    model = build_model(kind, calorimeter)
    assert isinstance(model, GradientModel)
    model.train()
    share_statistics(model)
    optimizers = model.optimizers()

    def update(optimizer: str, loss: torch.Tensor, parts: object) -> None:
        groups = optimizers[optimizer].param_groups
        loss.backward()  # type: ignore[no-untyped-call]
        average_gradients([p for group in groups for p in group["params"]], failed=False)

    energy = torch.rand(1, calorimeter.n_cells)
    condition = torch.full((1, len(model.condition_columns)), 5e4)
    with _recorded() as sizes:
        model.training_step(TrainingBatch(condition, energy), update)
    return sizes


@contextmanager
def _recorded() -> Iterator[list[int]]:
    """Inside, the sizes of all sums."""
    sizes: list[int] = []
    original = distributed.all_reduce

    def all_reduce(tensor: torch.Tensor, *args: Any, **options: Any) -> Any:
        sizes.append(tensor.numel() * tensor.element_size())
        return original(tensor, *args, **options)

    distributed.all_reduce = all_reduce
    try:
        yield sizes
    finally:
        distributed.all_reduce = original


if __name__ == "__main__":
    serve(work)
