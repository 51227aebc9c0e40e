"""The Lightning module that drives any :class:`Trainable` model through its published steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import lightning as pl
import numpy as np
import torch

from caloforge.data import ShowerLoader
from caloforge.errors import TrainingError
from caloforge.models import Trainable, TrainingBatch


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

    Raises:
        TrainingError: a loss or a gradient is not finite; names the step and the culprit.
    """

    def __init__(self, model: Trainable, seed: int) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.seed = seed
        self.step = 0
        self.losses: dict[str, float] = {}
        self.by_name = model.optimizers()

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """The model's optimizers."""
        return list(self.by_name.values())

    def training_step(self, batch: tuple[int, torch.Tensor, torch.Tensor], _: int) -> None:
        """One step of the model's own procedure, with the RNG seeded for this step."""
        self.step, condition, energy = batch
        torch.manual_seed(step_seed(self.seed, self.step))
        losses = self.model.training_step(TrainingBatch(condition, energy), self._update)
        self.losses = {name: float(value) for name, value in losses.items()}

    def _update(
        self, optimizer: str, loss: torch.Tensor, parts: Mapping[str, torch.Tensor]
    ) -> None:
        if not bool(torch.isfinite(loss)):
            bad = [name for name, value in parts.items() if not bool(torch.isfinite(value))]
            raise TrainingError(
                f"step {self.step}: loss '{'/'.join([optimizer, *bad[:1]])}' is {loss.item()}; "
                "lower the learning rate, or train with training.precision=32-true"
            )
        chosen = self.by_name[optimizer]
        chosen.zero_grad(set_to_none=True)
        self.manual_backward(loss)
        self._check_gradients(optimizer)
        self._step(optimizer)

    def _step(self, optimizer: str) -> None:
        """Step through Lightning's wrapper, which knows about mixed precision."""
        wrapped = self.optimizers()
        several = wrapped if isinstance(wrapped, list) else [wrapped]
        several[list(self.by_name).index(optimizer)].step()

    def _check_gradients(self, optimizer: str) -> None:
        owned = {id(p) for group in self.by_name[optimizer].param_groups for p in group["params"]}
        for name, parameter in self.model.named_parameters():
            gradient = parameter.grad
            if id(parameter) in owned and gradient is not None and not gradient.isfinite().all():
                raise TrainingError(
                    f"step {self.step}: gradient of '{name}' is not finite; lower the learning "
                    "rate, or train with training.precision=32-true"
                )
