"""CaloClouds II's diffusion and its distillation, for the cells of any calorimeter.

The layers' energies come from a spline coupling flow, in one pass. The shapes come from a
diffusion model (Karras et al.), which a consistency model can follow that needs one step.
Published: noise levels from 0.002 to 80 with rho 7, ln(sigma) normal around -1.2 with 1.2 in
training, RAdam at 1e-4, batches of 128 (256 for the student), moving averages of the weights, 18
steps of Heun's method. Its point clouds are here the shares of all cells.

Source: E. Buhmann et al., CaloClouds II, arXiv:2309.05704.
"""

from __future__ import annotations

from typing import Self

import torch

from caloforge.models.base import Update
from caloforge.models.diffusion.average import inverse_decay
from caloforge.models.diffusion.config import DiffusionConfig
from caloforge.models.diffusion.shapes import DiffusionShapes
from caloforge.models.flows.energy_couplings import energy_couplings
from caloforge.models.schedule import set_rate
from caloforge.models.twostage import Stage, TwoStage
from caloforge.models.twostage.model import Losses


class Diffusion(TwoStage):
    """Diffusion with Heun's method or, distilled, in one step (as CaloClouds II, for cells)."""

    kind = "diffusion"
    config_class = DiffusionConfig
    home = "calochallenge-1-photons"
    config: DiffusionConfig
    shapes: DiffusionShapes

    def _energy_stage(self, features: int, context: int) -> Stage:
        return energy_couplings(features, context, self.config)

    def _shape_stage(self, features: int, context: int) -> DiffusionShapes:
        return DiffusionShapes(features, context, self.config)

    def loss_names(self) -> tuple[str, ...]:
        """One more where a student learns."""
        return ("energies", "shapes", *(["student"] if self.config.distil_steps else []))

    def train(self, mode: bool = True) -> Self:
        """Also see whether the student has begun to learn; from then on it draws."""
        begun = self.config.distil_steps > 0 and int(self.done) > self.config.shape_steps
        self.shapes.distilled = begun
        return super().train(mode)

    def _shape_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        c = self.config
        teacher = self.shapes.teacher.parameters()
        optimizers: dict[str, torch.optim.Optimizer] = {
            "shapes": torch.optim.RAdam(teacher, c.shape_rate, weight_decay=c.shape_decay)
        }
        if c.distil_steps:
            student = self.shapes.student.parameters()
            optimizers["student"] = torch.optim.RAdam(student, c.distil_rate)
        return optimizers

    def _shape_step(
        self, step: int, shapes: torch.Tensor, context: torch.Tensor, update: Update
    ) -> Losses:
        """A step of the teacher or, when it is done, of the student."""
        c, stage = self.config, self.shapes
        if not c.distil_steps or step < c.shape_steps:
            loss = stage.loss(shapes, context)
            set_rate(self._optimizers["shapes"], c.shape_rate)
            update("shapes", loss, {"shapes": loss})
            decay = inverse_decay(step, c.average_power, c.average_most)
            stage.average.update(stage.teacher, decay)
            return {"shapes": loss}
        if step == c.shape_steps:
            stage.begin_student()
        loss = stage.consistency_loss(shapes, context)
        update("student", loss, {"student": loss})
        stage.target.update(stage.student, c.distil_average)
        return {"student": loss}
