"""Transfer learning: other energies or particles begin with trained weights, but own ranges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from caloforge.api import train
from caloforge.artifact import load_artifact, read_description, save_artifact, warm_start
from caloforge.config import load_recipe
from caloforge.errors import ModelError
from caloforge.geometry import load_detector
from caloforge.models import TrainingSample, build_model, model_kinds
from caloforge.models.threedgan.adversarial import Adversarial
from caloforge.models.threedgan.fixed import FixedAngle
from caloforge.showers import Incident, Provenance, Showers
from caloforge.store import write_showers
from helpers import lcd_showers

STILL = ["training.batch_size=2", "training.max_steps=1", "model.learning_rate=1e-12"]
"""One step that moves next to nothing."""

KINDS = [name for name, kind in model_kinds().items() if issubclass(kind, Adversarial)]
SETTINGS = {"2dgan": {"width": 0.1}}


def sample(low: float, high: float, pdg: int) -> Showers:
    """Eight showers from ``low`` to ``high`` GeV."""
    showers = lcd_showers(8, seed=int(low))
    incident = Incident({"energy": np.linspace(low, high, 8) * 1e3, "pdg": np.full(8, pdg)})
    return Showers.from_dense(showers.calorimeter, incident, showers.dense(), showers.provenance)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Electrons of 100 to 200 GeV, one step."""
    folder = tmp_path_factory.mktemp("narrow")
    data = write_showers(folder / "electrons.h5", sample(100, 200, 11))
    return train("3dgan", data, folder / "narrow", overrides=[*STILL, "training.seed=3"])


@pytest.mark.parametrize(
    ("low", "high", "pdg"), [(2, 500, 11), (10, 100, 22)], ids=["more energies", "photons"]
)
def test_the_weights_stay_and_the_range_is_new(
    narrow: Path, tmp_path: Path, low: float, high: float, pdg: int
) -> None:
    data = write_showers(tmp_path / "new.h5", sample(low, high, pdg))
    overrides = [*STILL, f"start_from={narrow}"]
    folder = train("3dgan", data, tmp_path / "model", overrides=overrides)
    before, after = (load_file(path / "weights.safetensors") for path in (narrow, folder))
    for name, value in after.items():
        if name.endswith((".weight", ".bias")):
            assert torch.allclose(value, before[name], atol=1e-9), name
    assert before["fake_energy"].tolist() == pytest.approx([1.0, 2.0])
    assert after["fake_energy"].tolist() == pytest.approx([low / 100, high / 100])
    provenance = read_description(folder)["provenance"]
    assert list(provenance["inputs"]) == ["new.h5", "narrow"]
    ranges = provenance["source"]["training_ranges"]
    assert ranges == {"energy": [pytest.approx(1e3 * low), pytest.approx(1e3 * high)]}


@pytest.mark.parametrize("kind", KINDS)
def test_every_gan_takes_over_weights_and_keeps_no_range(kind: str, tmp_path: Path) -> None:
    calorimeter = load_detector(model_kinds()[kind].home)
    torch.manual_seed(1)
    first = build_model(kind, calorimeter, SETTINGS.get(kind))
    folder = save_artifact(tmp_path / "m", first, Provenance(step="test"))
    second = build_model(kind, calorimeter, SETTINGS.get(kind))
    warm_start(second, folder)
    old, new = first.state_dict(), second.state_dict()
    assert all(torch.equal(old[name], value) for name, value in new.items())
    if isinstance(second, FixedAngle):
        ranges = {"energy": (2e3, 500e3)}
        second.prepare(TrainingSample(8, ranges, lcd_showers(1)))
        assert second.fake_energy.tolist() == pytest.approx([0.02, 5.0])


def test_another_network_is_refused(narrow: Path, tmp_path: Path) -> None:
    data = write_showers(tmp_path / "new.h5", sample(10, 100, 11))
    start = f"start_from={narrow}"
    with pytest.raises(ModelError, match=r"weights cannot be used.*particle"):
        train("3dgan", data, tmp_path / "a", overrides=[*STILL, start, "model.classes=[11,22]"])
    with pytest.raises(ModelError, match="same kind"):
        train("triforce-gan", data, tmp_path / "b", overrides=[*STILL, start])


def test_the_recipe_starts_from_the_shipped_electrons() -> None:
    recipe = load_recipe("3dgan-transfer")
    assert recipe.start_from is not None
    start = load_artifact(recipe.start_from)
    model = build_model(recipe.kind, start.calorimeter, recipe.settings)
    assert start.model.networks() == model.networks()
    assert recipe.training.epochs == 30
