"""Diffusion models, drawn by Heun's method or, distilled, in one step."""

from caloforge.models.diffusion.model import Diffusion

__all__ = ["Diffusion"]
