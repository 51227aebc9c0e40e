"""What the GANs with a class head share: particle codes as classes, and two modes of a network.

The class head follows A. Odena, C. Olah, J. Shlens, "Conditional Image Synthesis with Auxiliary
Classifier GANs" (2016): the discriminator also names the class of real and fake showers alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn import functional as F

from caloforge.errors import ShowerError
from caloforge.models import draws, keras


class ClassEmbedding(nn.Module):
    """A trained vector for every class, by which the latent vector is multiplied."""

    def __init__(self, classes: int, latent_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, latent_size))
        keras.fill(self.weight, "glorot_normal", classes, latent_size)

    def forward(self, weights: torch.Tensor) -> torch.Tensor:
        """(B, classes) weights of the classes, one being 1 -> (B, latent)."""
        return weights @ self.weight


def class_weights(pdg: torch.Tensor, codes: Sequence[int]) -> torch.Tensor:
    """(B,) particle codes -> (B, classes), 1 for the class; NaN for a code that is no class.

    A graph cannot raise errors: 0 / 0 marks the showers of unknown particles.
    """
    known = torch.tensor(codes, dtype=pdg.dtype, device=pdg.device)
    hits = (pdg[:, None] == known).to(pdg.dtype)
    return hits / hits.sum(dim=1, keepdim=True)


def class_numbers(pdg: torch.Tensor, codes: Sequence[int]) -> torch.Tensor:
    """(B,) particle codes -> (B,) numbers of their classes.

    Raises:
        ShowerError: a code that is no class.
    """
    hits = pdg[:, None] == torch.tensor(codes, dtype=pdg.dtype, device=pdg.device)
    unknown = pdg[~hits.any(dim=1)]
    if len(unknown):
        raise ShowerError(
            f"particle code {unknown[0].item():.0f} is none of the model's classes "
            f"{', '.join(map(str, codes))}; add it to the recipe's 'classes', or convert with fewer"
        )
    return hits.to(torch.int64).argmax(dim=1)


def draw_classes(n: int, classes: int, device: torch.device) -> torch.Tensor:
    """(n,) random class numbers."""
    numbers = (draws.uniform(n, device=device) * classes).long()
    return numbers.clamp(max=classes - 1)


def flip_classes(numbers: torch.Tensor, classes: int, share: float) -> torch.Tensor:
    """A random ``share`` of the class numbers (n,) becomes another class."""
    n, device = len(numbers), numbers.device
    flipped = draws.uniform(n, device=device) < share
    step = 1 + draw_classes(n, classes - 1, device)
    return torch.where(flipped, (numbers + step) % classes, numbers)


def class_head(inputs: int, classes: int) -> nn.Linear:
    """One logit for two classes, one for each of more."""
    head = nn.Linear(inputs, 1 if classes == 2 else classes)
    keras.initialise([head], "glorot_uniform")
    return head


def class_loss(logits: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Cross entropy of what :func:`class_head` says, (n, 1) or (n, classes), and the truth (n,)."""
    if logits.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(logits[:, 0], numbers.to(logits.dtype))
    return F.cross_entropy(logits, numbers)


@contextmanager
def predicting(network: nn.Module) -> Iterator[None]:
    """As Keras' ``predict``: running means, no gradient."""
    network.eval()
    with torch.no_grad():
        yield
    network.train()


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Gradients flow through ``network`` but not into it."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
