"""The Python mirror of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from caloforge.artifact import load_artifact, warm_start
from caloforge.beam import Words, particles
from caloforge.config import Recipe, load_recipe
from caloforge.data import StoredBlocks, load_sample
from caloforge.errors import ConfigError
from caloforge.export import ExportOptions, export_model
from caloforge.export.fidelity import ALLOWED
from caloforge.export.quantised import Precision
from caloforge.generate import open_engine
from caloforge.geometry import Calorimeter, load_detector
from caloforge.models import Trainable, all_kinds, build_any
from caloforge.runtime import Engine, shower_batches
from caloforge.showers import Incident, Provenance, Showers, input_digests
from caloforge.train import fit_model
from caloforge.train.launch import launch
from caloforge.train.processes import find_processes


def train(
    recipe: str | Path | Recipe,
    data: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    overrides: Sequence[str] = (),
    resume: bool = False,
    quiet: bool = True,
) -> Path:
    """Train a model and return its artifact folder.

    Args:
        recipe: a shipped recipe's name, a YAML file, or a :class:`Recipe`.
        data: one or many store files of training showers.
        output: artifact folder to write.
        overrides: ``key.sub=value`` changes to the recipe (a name or a file).
        resume: continue an interrupted run of the same recipe and data, on any number of processes.
        quiet: no progress bar.

    Raises:
        ConfigError, DataError, GeometryError, TrainingError, OutputError: see their messages.
    """
    if isinstance(recipe, Recipe) and overrides:
        raise ConfigError("overrides change a recipe's name or file; edit the Recipe itself")
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, overrides)
    paths = [data] if isinstance(data, str | Path) else list(data)
    if _starts_others(chosen):
        request = {
            "recipe": chosen.to_dict(),
            "data": [str(path) for path in paths],
            "output": str(output),
            "resume": resume,
            "quiet": quiet,
        }
        assert chosen.training.devices is not None
        return Path(launch("caloforge.cli.one_process", request, chosen.training.devices))
    expected = load_detector(chosen.detector) if chosen.detector else None
    stored = StoredBlocks(paths, expected)
    torch.manual_seed(chosen.training.seed)  # the initial weights
    model = build_any(chosen.kind, stored.calorimeter, chosen.settings)
    sample = stored if isinstance(model, Trainable) else load_sample(paths, expected)
    inputs = input_digests(paths)
    if chosen.start_from is not None:
        inputs[Path(chosen.start_from).name] = warm_start(model, chosen.start_from)
    return fit_model(
        model,
        sample,
        chosen.training,
        output,
        inputs=inputs,
        recipe=chosen.to_dict(),
        resume=resume,
        quiet=quiet,
    )


def _starts_others(recipe: Recipe) -> bool:
    """Whether this process only starts those that train."""
    several = (recipe.training.devices or 1) > 1
    learns_in_steps = issubclass(all_kinds()[recipe.kind], Trainable)
    return several and learns_in_steps and find_processes().launcher == "none"


class Model:
    """A trained model, ready to generate; see :func:`load_model`."""

    def __init__(self, path: str | Path, engine: Engine) -> None:
        self.path = Path(path)
        self.engine = engine

    def __repr__(self) -> str:
        kind = self.engine.description["kind"]
        return f"Model('{kind}' for '{self.calorimeter.name}', engine {self.engine.name})"

    @property
    def calorimeter(self) -> Calorimeter:
        """The calorimeter that the model generates for."""
        return self.engine.calorimeter

    def generate(
        self,
        energy: Words | None = None,
        n: int | None = None,
        *,
        seed: int = 0,
        theta: Words | None = None,
        phi: Words | None = None,
        particle: str | None = None,
        incident: Incident | None = None,
        batch_size: int = 128,
    ) -> Showers:
        """Generate showers in memory.

        Args:
            energy: GeV: a number, a list, ``"10:100"`` (uniform), ``"log:1:100"``.
            n: number of showers; 1, or the length of the list, when None.
            seed: same seed, same showers.
            theta: degrees, 90 is normal incidence.
            phi: degrees around the z axis.
            particle: a name such as ``e-`` or a PDG code.
            incident: the particles themselves, instead of all of the above.
            batch_size: showers per call of the engine; does not change the result.

        Raises:
            ConfigError, ModelError: see their messages.
        """
        if incident is None:
            if energy is None:
                raise ConfigError("generate needs energy=... (GeV) or incident=...")
            if n is None:
                n = 1 if isinstance(energy, str) else int(np.size(energy))
            incident = particles(n, energy, theta=theta, phi=phi, particle=particle, seed=seed)
        provenance = Provenance(
            step="generate",
            geometry=self.calorimeter.hash,
            config={"engine": self.engine.name},
            seed=seed,
            inputs=self.engine.inputs,
            parents=(self.engine.description["provenance"],),
        )
        parts = shower_batches(
            self.engine, incident, seed=seed, batch_size=batch_size, provenance=provenance
        )
        return Showers.concatenate(list(parts))


def load_model(path: str | Path, engine: str = "auto") -> Model:
    """A trained model from its artifact folder or its exported .onnx file.

    Raises:
        ModelError, ConfigError: see their messages.
    """
    return Model(path, open_engine(path, engine))


def export(
    model: str | Path,
    output: str | Path,
    *,
    target: str = "onnx",
    precision: Precision = "full",
    reference: str | Path | None = None,
    max_loss: float = ALLOWED,
    rebin: str | None = None,
    particle: int | None = None,
) -> Path:
    """Export a model artifact for other software; what it needs is inside, or beside ``output``.

    Args:
        model: a folder, or a shipped model.
        output: file to write; its ending depends on the target.
        target: ``onnx``, ``par04``, ``par04-calodit``, ``torchscript``, ``openvino``.
        precision: ONNX only: ``full``, ``float32``, ``bf16``, ``int8``.
        reference: store file of Geant4 showers to judge ``bf16`` and ``int8`` by.
        max_loss: by how much the mean separation power from them may grow, as a share of it.
        rebin: Par04 only: a detector whose mesh the showers are shared among.
        particle: Par04 only: PDG code, for a model of several particles.

    Raises:
        ConfigError, ModelError, GeometryError, OutputError: see their messages.
    """
    options = ExportOptions(
        precision=precision,
        reference=None if reference is None else Path(reference),
        max_loss=max_loss,
        rebin=rebin,
        particle=particle,
    )
    return export_model(load_artifact(model), output, target, options)
