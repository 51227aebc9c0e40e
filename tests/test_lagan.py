"""LAGAN: the published sizes, losses and procedure, and jets from file to generated jet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from caloforge.api import load_model, train
from caloforge.artifact import save_artifact
from caloforge.conversion import convert
from caloforge.errors import GeometryError, ModelError, ShowerError
from caloforge.export import export_onnx
from caloforge.geometry import load_detector
from caloforge.models import TrainingBatch, build_model
from caloforge.models.lagan import LAGAN
from caloforge.runtime import OnnxEngine, shower_noise
from caloforge.showers import Provenance
from gan_cases import Recorder
from jets import jet_images, jets


@pytest.fixture
def model() -> LAGAN:
    torch.manual_seed(0)
    built = build_model("lagan", load_detector("jet-image-25"))
    assert isinstance(built, LAGAN)
    return built.train()


def batch(n: int = 4) -> TrainingBatch:
    showers = jets(n)
    condition = torch.from_numpy(showers.incident["pdg"].astype(np.float32))[:, None]
    return TrainingBatch(condition, torch.from_numpy(showers.dense()))


def test_parameter_counts_are_the_published_ones(model: LAGAN) -> None:
    """3.59 and 1.40 million; worked out by hand, layer by layer."""
    generator = 2 * 200 + 6272 * 201  # classes, dense layer
    generator += 25 * 128 * 64 + 64 + 2 * 64  # convolution
    generator += 14 * 14 * (25 * 64 * 6 + 6) + 2 * 6  # locally connected
    generator += 26 * 26 * (9 * 6 * 6 + 6) + 25 * 25 * 4 * 6
    assert generator == 3_586_932
    discriminator = 25 * 32 + 32 + 13 * 13 * (25 * 32 * 8 + 8) + 13 * 13 * (25 * 8 * 8 + 8)
    discriminator += 7 * 7 * (9 * 8 * 8 + 8) + 3 * 16
    discriminator += 72 * 20 * 10 + 2 * (72 + 20 + 1)
    assert model.networks() == {"generator": generator, "discriminator": discriminator}


def test_shapes(model: LAGAN) -> None:
    image = model.generator(torch.randn(3, 200), torch.eye(2)[[0, 1, 1]])
    assert image.shape == (3, 25, 25, 1)
    assert (image >= 0).all()
    assert [head.shape for head in model.discriminator(image)] == [(3,), (3, 1)]


def test_published_step_order_and_who_learns(model: LAGAN) -> None:
    recorder = Recorder(model)
    losses = model.training_step(batch(), recorder)
    assert recorder.names == ["discriminator", "discriminator", "generator", "generator"]
    assert recorder.with_gradient == [{"discriminator"}] * 2 + [{"generator"}] * 2
    assert len(losses) == 6
    for optimizer in model.optimizers().values():
        assert optimizer.param_groups[0]["lr"] == 2e-4
        assert optimizer.param_groups[0]["betas"][0] == 0.5


def test_losses_add_with_equal_weights(model: LAGAN, monkeypatch: pytest.MonkeyPatch) -> None:
    real, classes = torch.tensor([1.0, -0.5]), torch.tensor([[2.0], [0.3]])
    monkeypatch.setattr(model.discriminator, "forward", lambda _: (real, classes))
    image = torch.zeros(2, 25, 25, 1)
    total, parts = model._judge(image, torch.tensor([1, 0]), real=True, flips=0.0)
    assert parts["real_or_fake"].item() == pytest.approx(np.log1p(np.exp([-1.0, 0.5])).mean())
    assert parts["class"].item() == pytest.approx(np.log1p(np.exp([-2.0, 0.3])).mean())
    assert total.item() == pytest.approx(sum(part.item() for part in parts.values()))


def test_labels_are_flipped_as_published(model: LAGAN, monkeypatch: pytest.MonkeyPatch) -> None:
    """5 % for the discriminator, 9 % of the classes for the generator, which claims 'real'."""
    n, sure = 4000, 8.0
    seen: list[tuple[float, float]] = []
    asked: list[torch.Tensor] = []
    claim = {"real": True}

    def fakes(n: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        asked.append(torch.arange(n) % 2)
        return torch.zeros(n, 25, 25, 1), asked[-1]

    def right(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        truth = torch.arange(n) % 2
        sign = 1.0 if claim["real"] else -1.0
        return torch.full((n,), sign * sure), sure * (2.0 * truth[:, None] - 1.0)

    def update(optimizer: str, loss: torch.Tensor, parts: Mapping[str, torch.Tensor]) -> None:
        seen.append((parts["real_or_fake"].item() / sure, parts["class"].item() / sure))
        claim["real"] = len(seen) != 1  # the second batch is the fake one

    monkeypatch.setattr(model, "_fakes", fakes)
    monkeypatch.setattr(model.discriminator, "forward", right)
    pdg = torch.tensor([21.0, 24.0]).repeat(n // 2)[:, None]
    torch.manual_seed(0)
    model.training_step(TrainingBatch(pdg, torch.zeros(n, 625)), update)
    expected = [(0.05, 0.0), (0.05, 0.05), (0.0, 0.09), (0.0, 0.09)]
    tolerance = 4 * (0.09 * 0.91 / n) ** 0.5
    for found, wanted in zip(seen, expected, strict=True):
        assert found == pytest.approx(wanted, abs=tolerance)


def test_empty_images_give_finite_gradients(model: LAGAN) -> None:
    image = torch.zeros(3, 25, 25, 1, requires_grad=True)
    total, _ = model._judge(image, torch.tensor([0, 1, 1]), real=False, flips=0.0)
    total.backward()
    assert image.grad is not None
    assert torch.isfinite(image.grad).all()
    gradients = [p.grad for p in model.discriminator.parameters()]
    assert all(g is not None and torch.isfinite(g).all() for g in gradients)


def test_units_and_classes(model: LAGAN) -> None:
    """The networks see 100 GeV; the first class is the background."""
    model.eval()
    noise, pdg = torch.randn(2, 200), torch.tensor([[24.0], [21.0]])
    with torch.no_grad():
        made = model(pdg, noise)
        image = model.generator(noise, torch.eye(2)[[1, 0]])
    assert torch.allclose(made, 1e5 * image.flatten(1), rtol=1e-3, atol=1.0)
    assert torch.isnan(model(torch.tensor([[11.0]]), noise[:1])).all()
    towers = model.scaling.forward(torch.tensor([2.6e-6, 2.8e-6, 1000.0]))
    assert towers.tolist() == pytest.approx([0.0, 2.8e-11, 0.01])  # below 2.7e-9 GeV: unphysical


def test_unknown_classes_are_named(model: LAGAN, tmp_path: Path) -> None:
    electrons = TrainingBatch(torch.full((2, 1), 11.0), torch.zeros(2, 625))
    with pytest.raises(ShowerError, match=r"code 11.*21, 24"):
        model.training_step(electrons, Recorder(model))
    saved = load_model(save_artifact(tmp_path / "m", model.eval(), Provenance(step="test")))
    with pytest.raises(ModelError, match="21, 24"):
        saved.generate(energy=270, n=2, particle="e-")
    with pytest.raises(GeometryError, match="jet-image-25"):
        build_model("lagan", load_detector("lcd-ecal-25"))


def test_from_lagan_files_to_generated_jets(tmp_path: Path) -> None:
    images, signal = jet_images(8)
    with h5py.File(tmp_path / "jets.h5", "w") as file:
        file["image"], file["signal"] = images.astype(np.float32), signal
    convert(tmp_path / "jets.h5", tmp_path / "store.h5")
    overrides = ["training.batch_size=4", "training.max_steps=2"]
    folder = train("lagan", tmp_path / "store.h5", tmp_path / "m", overrides=overrides)
    made = load_model(folder).generate(energy=270, n=6, particle="24", seed=1)
    assert made.calorimeter.hash == load_detector("jet-image-25").hash
    convert(tmp_path / "store.h5", tmp_path / "back.h5", to="lagan")
    with h5py.File(tmp_path / "back.h5") as file:
        np.testing.assert_allclose(file["image"][:], images, rtol=3e-7)


def test_the_export_agrees_on_every_cell(model: LAGAN, tmp_path: Path) -> None:
    folder = save_artifact(tmp_path / "m", model.eval(), Provenance(step="test"))
    engine = OnnxEngine(export_onnx(folder, tmp_path / "m.onnx"))
    assert engine.description["inputs"]["condition"] == ["pdg [PDG code]"]
    noise = shower_noise(1, 0, 6, 200, "normal")
    condition = np.resize([21, 24], (6, 1)).astype(np.float32)
    with torch.no_grad():
        expected = model(torch.from_numpy(condition), torch.from_numpy(noise)).numpy()
    assert (expected > 0).sum() > 100
    np.testing.assert_allclose(engine.run(condition, noise), expected, rtol=1e-6, atol=0)
