"""The Lightning module that drives any :class:`Trainable` model through its published steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext

import lightning as pl
import numpy as np
import torch

from caloforge.data import ShowerLoader
from caloforge.errors import TrainingError
from caloforge.models import Trainable, TrainingBatch, draws
from caloforge.train.collectives import average_gradients, first_message
from caloforge.train.turns import Wait, take_turns

Parts = Mapping[str, torch.Tensor]


def step_seed(seed: int, step: int) -> int:
    """Seed of the random numbers of one step: independent streams for (seed, step)."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> 1)


class Batches:
    """The training batches of steps ``start:stop``, as tensors on the loader's memory."""

    def __init__(self, loader: ShowerLoader, start: int, stop: int) -> None:
        self._loader = loader
        self._steps = range(start, stop)

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
        for batch in self._loader.batches(self._steps.start, self._steps.stop):
            yield batch.step, torch.from_numpy(batch.condition), torch.from_numpy(batch.energy)


class TrainingModule(pl.LightningModule):
    """Manual optimisation: the model says what a step is, this class does it safely.

    Gradients are averaged over the processes once per update, after the backward pass: whatever
    networks and optimizers a step uses, and however often, two processes with half a batch each do
    what one does with all of it.

    Args:
        model: what is trained.
        seed: of the random numbers.
        accumulate: parts that every batch is worked through in.

    Raises:
        TrainingError: a loss or a gradient is not finite, on any process; names the step and the
            culprit.
    """

    def __init__(self, model: Trainable, seed: int, accumulate: int = 1) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.seed = seed
        self.accumulate = accumulate
        self.step = 0
        self.losses: dict[str, float] = {}
        self.by_name = model.optimizers()
        self._due = ""
        self._problem: str | None = None

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """The model's optimizers."""
        return list(self.by_name.values())

    def training_step(self, batch: tuple[int, torch.Tensor, torch.Tensor], _: int) -> None:
        """One step of the model's own procedure, with the RNG seeded for this step."""
        self.step, condition, energy = batch
        if self.accumulate == 1:
            self.losses = self._run(TrainingBatch(condition, energy), 0, self._finish)
            return
        rows = len(energy) // self.accumulate
        context = self.trainer.precision_plugin.train_step_context  # belongs to a thread

        def procedure(part: int) -> Callable[[Wait], dict[str, float]]:
            mine = slice(part * rows, (part + 1) * rows)

            def work(wait: Wait) -> dict[str, float]:
                with context(), _device(self.device), draws.one_part(part, self.accumulate):
                    small = TrainingBatch(condition[mine], energy[mine])
                    return self._run(small, part, lambda: _wait_with_own_numbers(wait, self.device))

            return work

        parts = take_turns([procedure(k) for k in range(self.accumulate)], self._finish)
        self.losses = {
            name: sum(part[name] for part in parts) / self.accumulate for name in parts[0]
        }

    def _run(self, batch: TrainingBatch, part: int, after: Wait) -> dict[str, float]:
        """The model's step on (a part of) the batch; ``after`` follows every backward pass."""
        torch.manual_seed(step_seed(self.seed, self.step))

        def update(optimizer: str, loss: torch.Tensor, parts: Parts) -> None:
            if part == 0:
                self._due, self._problem = optimizer, None
                self.by_name[optimizer].zero_grad(set_to_none=True)
            self._look(loss, parts)
            self.manual_backward(loss / self.accumulate if self.accumulate > 1 else loss)
            after()

        losses = self.model.training_step(batch, update)
        return {name: float(value) for name, value in losses.items()}

    def _look(self, loss: torch.Tensor, parts: Parts) -> None:
        """Raise, or remember for when all processes meet, that a loss is not finite."""
        if bool(torch.isfinite(loss)):
            return
        bad = [name for name, value in parts.items() if not bool(torch.isfinite(value))]
        self._problem = (
            f"step {self.step}: loss '{'/'.join([self._due, *bad[:1]])}' is {loss.item()}; "
            "lower the learning rate, or train with training.precision=32-true"
        )
        if draws.share()[1] == 1:
            raise TrainingError(self._problem)

    def _finish(self) -> None:
        """Average the gradients over the processes, check them, and step."""
        groups = self.by_name[self._due].param_groups
        owned = [parameter for group in groups for parameter in group["params"]]
        if average_gradients(owned, self._problem is not None):
            raise TrainingError(first_message(self._problem))
        self._check_gradients({id(parameter) for parameter in owned})
        self._step(self._due)

    def _step(self, optimizer: str) -> None:
        """Step through Lightning's wrapper, which knows about mixed precision."""
        wrapped = self.optimizers()
        several = wrapped if isinstance(wrapped, list) else [wrapped]
        several[list(self.by_name).index(optimizer)].step()

    def _check_gradients(self, owned: set[int]) -> None:
        for name, parameter in self.model.named_parameters():
            gradient = parameter.grad
            if id(parameter) in owned and gradient is not None and not gradient.isfinite().all():
                raise TrainingError(
                    f"step {self.step}: gradient of '{name}' is not finite; lower the learning "
                    "rate, or train with training.precision=32-true"
                )


def _device(device: torch.device) -> AbstractContextManager[object]:
    """Enter to work on this device: the current GPU belongs to a thread."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def _wait_with_own_numbers(wait: Wait, device: torch.device) -> None:
    """Wait, and go on with the random numbers where they were: every part draws the same ones."""
    on_gpu = device.type == "cuda"
    state = torch.get_rng_state(), torch.cuda.get_rng_state(device) if on_gpu else None
    wait()
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1], device)
