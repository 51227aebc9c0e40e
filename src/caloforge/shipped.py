"""What comes with Caloforge: trained models (``pretrained``), Geant4 showers (``samples``)."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent / "pretrained"

SAMPLES = {
    "lcd_electrons.h5": "electrons_train.h5",
    "lcd_test.h5": "electrons_test.h5",
    "lcd_electrons_angle.h5": "electrons_angle.h5",
}
"""Showers in 3DGAN's formats, by the names that the tutorials call them."""


def shipped_models() -> list[str]:
    """Names of the trained models that come with Caloforge."""
    return sorted(path.parent.name for path in _FOLDER.glob("*/artifact.json"))


def model_path(name_or_path: str | Path) -> Path:
    """The folder (or file) of a model: as given if it is there, else a shipped model's."""
    path = Path(name_or_path)
    shipped = _FOLDER / str(name_or_path)
    if not path.exists() and str(name_or_path) in shipped_models():
        return shipped
    return path


def sample_path(name: str) -> Path:
    """The file behind a name of :data:`SAMPLES`."""
    return Path(__file__).parent / "samples" / SAMPLES[name]
