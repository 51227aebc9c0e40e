"""Caloforge: from detailed calorimeter simulation to a trusted, deployable surrogate.

    caloforge.simulate("lcd-ecal", "geant4.h5", particle="e-", energy=50, n=100)
    showers = caloforge.open("showers.h5").read()
    caloforge.convert("lcd.h5", "showers.h5")
    caloforge.train("3dgan", "showers.h5", "model")
    generated = caloforge.load_model("model").generate(energy=50, n=100, seed=1)
    report = caloforge.validate(showers, generated, "report")
    predictions = caloforge.predict("trees", "showers.h5", "predictions")

Importing the package is cheap: torch and the rest are loaded when they are used.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from caloforge._version import __version__

if TYPE_CHECKING:
    from caloforge.api import Model, export, load_model, train
    from caloforge.conversion import convert
    from caloforge.errors import CaloforgeError
    from caloforge.geometry import Calorimeter, load_detector
    from caloforge.predict import load_predictor, predict
    from caloforge.showers import Incident, Provenance, Showers
    from caloforge.simulate.api import simulate
    from caloforge.store import open_showers as open  # noqa: A004
    from caloforge.tune import tune
    from caloforge.validate import validate

_HOME = {
    "Calorimeter": ("caloforge.geometry", "Calorimeter"),
    "CaloforgeError": ("caloforge.errors", "CaloforgeError"),
    "Incident": ("caloforge.showers", "Incident"),
    "Model": ("caloforge.api", "Model"),
    "Provenance": ("caloforge.showers", "Provenance"),
    "Showers": ("caloforge.showers", "Showers"),
    "convert": ("caloforge.conversion", "convert"),
    "export": ("caloforge.api", "export"),
    "load_detector": ("caloforge.geometry", "load_detector"),
    "load_model": ("caloforge.api", "load_model"),
    "load_predictor": ("caloforge.predict", "load_predictor"),
    "open": ("caloforge.store", "open_showers"),
    "predict": ("caloforge.predict", "predict"),
    "simulate": ("caloforge.simulate.api", "simulate"),
    "train": ("caloforge.api", "train"),
    "tune": ("caloforge.tune.run", "tune"),
    "validate": ("caloforge.validate", "validate"),
}

__all__ = [
    "CaloforgeError",
    "Calorimeter",
    "Incident",
    "Model",
    "Provenance",
    "Showers",
    "__version__",
    "convert",
    "export",
    "load_detector",
    "load_model",
    "load_predictor",
    "open",
    "predict",
    "simulate",
    "train",
    "tune",
    "validate",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'caloforge' has no attribute '{name}'")
    module, attribute = _HOME[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


class _Facade(ModuleType):
    """Keeps ``caloforge.train`` the function when the subpackage of that name is imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Facade


def __dir__() -> list[str]:
    return sorted(__all__)
