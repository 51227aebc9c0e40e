"""The trained models that come with Caloforge (``caloforge/pretrained/*``)."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent / "pretrained"


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
