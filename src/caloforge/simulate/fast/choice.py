"""Which models take over, as ``--fast`` names them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from caloforge.beam import pdg_code
from caloforge.errors import ConfigError


@dataclass(frozen=True)
class FastChoice:
    """A model, and the particles that it may take over.

    Args:
        model: folder, exported file or shipped name.
        particles: PDG codes; those that it was trained on when empty.
    """

    model: str
    particles: tuple[int, ...] = ()


def choices(words: Sequence[str | Path]) -> tuple[FastChoice, ...]:
    """Read ``MODEL`` or ``PARTICLES=MODEL``, as in ``e-,e+=my-model``; paths become absolute.

    Raises:
        ConfigError: no model, or an unknown particle.
    """
    return tuple(_choice(str(word)) for word in words)


def _choice(word: str) -> FastChoice:
    names, found, model = word.partition("=")
    if not found or "/" in names or Path(word).exists():
        names, model = "", word
    if not model:
        raise ConfigError(f"--fast {word}: no model; give MODEL or PARTICLES=MODEL")
    if Path(model).exists():
        model = str(Path(model).absolute())  # workers may run in another folder
    return FastChoice(model, tuple(pdg_code(name) for name in names.split(",") if name))
