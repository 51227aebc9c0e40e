"""What the processes of a training tell each other; everything is the identity for one process."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import distributed, nn

from caloforge.errors import TrainingError
from caloforge.models.draws import share

_LOST = re.compile(r"gloo|nccl|connection (closed|reset|refused)|broken pipe", re.IGNORECASE)


class ProcessLostError(TrainingError):
    """Another process of this training is gone."""


@contextmanager
def lost_processes_named() -> Iterator[None]:
    """Turn what torch raises when another process has died into one clear error.

    Raises:
        ProcessLostError: another process is gone.
    """
    try:
        yield
    except RuntimeError as error:
        named = isinstance(error, distributed.DistError) or _LOST.search(str(error))
        if share()[1] > 1 and named:
            raise ProcessLostError(
                "another process of this training is gone; continue from the last checkpoint with "
                "the same command and --resume, on as many processes as there are"
            ) from error
        raise


def mean_over_processes(values: Mapping[str, float], device: torch.device) -> dict[str, float]:
    """The mean of every value."""
    world = share()[1]
    if world == 1:
        return dict(values)
    summed = torch.tensor(list(values.values()), dtype=torch.float64, device=device)
    distributed.all_reduce(summed)
    return dict(zip(values, (summed / world).tolist(), strict=True))


def average_gradients(parameters: Sequence[nn.Parameter], failed: bool) -> bool:
    """Make every gradient the mean over all processes, in one message.

    Args:
        parameters: the same on every process; a gradient that is missing counts as zero, unless no
            process has it.
        failed: whether something is wrong here.

    Returns:
        Whether something is wrong on any process; the gradients are then useless.
    """
    world = share()[1]
    if world == 1:
        return failed
    device = parameters[0].device
    flags = [float(failed), *(float(p.grad is not None) for p in parameters)]
    parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    flat = torch.cat([torch.tensor(flags, device=device), *(g.reshape(-1) for g in parts)])
    distributed.all_reduce(flat)
    anywhere = flat[: len(flags)].tolist()
    if anywhere[0] > 0:
        return True
    means = torch.split(flat[len(flags) :] / world, [p.numel() for p in parameters])
    for parameter, gradient, mean, there in zip(
        parameters, parts, means, anywhere[1:], strict=True
    ):
        if there:
            gradient.copy_(mean.view(gradient.shape))
            parameter.grad = gradient
    return False


def first_message(message: str | None) -> str:
    """The message of the first process that has one, on all of them."""
    messages: list[str | None] = [None] * share()[1]
    distributed.all_gather_object(messages, message)
    return next(text for text in messages if text)


def begin_alike(model: nn.Module, step: int) -> None:
    """Give every process the model of the first one.

    Raises:
        TrainingError: they would not begin at the same step.
    """
    if share()[1] == 1:
        return
    tensors = list(model.state_dict().values())
    here = torch.tensor([step], device=tensors[0].device)
    for tensor in [there := here.clone(), *tensors]:
        sent = tensor.contiguous()
        distributed.broadcast(sent, 0)
        tensor.copy_(sent)
    differs = mean_over_processes({"step": float(bool(there != here))}, here.device)
    if differs["step"] > 0:
        raise TrainingError(
            f"the first process goes on from step {int(there)}, another one from another step; all "
            "of them need the same output folder, on a file system that they share"
        )


def wait_for_all() -> None:
    """Until every process has come here."""
    if share()[1] > 1:
        distributed.barrier()


def part_company() -> None:
    """The training is over: this process is alone again."""
    if share()[1] > 1:
        distributed.destroy_process_group()
