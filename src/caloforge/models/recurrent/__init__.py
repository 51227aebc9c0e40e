"""An autoregressive generator: one layer after the other, each with its own latents."""

from caloforge.models.recurrent.model import Recurrent, RecurrentConfig

__all__ = ["Recurrent", "RecurrentConfig"]
