"""CaloGAN: the published sizes, features, losses and procedure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from caloforge.api import load_model, train
from caloforge.artifact import save_artifact
from caloforge.errors import ConfigError, GeometryError, ModelError, ShowerError
from caloforge.export import export_onnx
from caloforge.geometry import load_detector
from caloforge.models import TrainingBatch, TrainingSample, build_model
from caloforge.models.acgan import class_loss, flip_classes
from caloforge.models.calogan import CaloGAN
from caloforge.models.calogan.attention import InPainting, Resize
from caloforge.models.calogan.discriminator import Verdict
from caloforge.models.calogan.model import SHAPES
from caloforge.runtime import OnnxEngine, shower_noise
from caloforge.showers import Incident, Provenance, Showers
from caloforge.store import write_showers
from gan_cases import Recorder
from helpers import random_showers

LAR = load_detector("calogan-lar")
PARTICLES = [11, 22, 211]


def sample(n: int = 6, seed: int = 2) -> Showers:
    """Random showers of three particles in turn."""
    showers = random_showers(n, LAR, seed, occupancy=0.3)
    incident = Incident({"energy": showers.incident.energy, "pdg": np.resize(PARTICLES, n)})
    return Showers.from_dense(LAR, incident, showers.dense(), showers.provenance)


def built(**config: Any) -> CaloGAN:
    """A prepared model, small in its latent vector unless asked otherwise."""
    torch.manual_seed(0)
    model = build_model("calogan", LAR, {"latent_size": 8, **config})
    assert isinstance(model, CaloGAN)
    model.prepare(TrainingSample.whole(sample()))
    return model.train()


def batch(model: CaloGAN, showers: Showers) -> TrainingBatch:
    columns = [showers.incident[name] for name in model.condition_columns]
    condition = torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))
    return TrainingBatch(condition, torch.from_numpy(showers.dense()))


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_parameter_counts_are_the_published_ones() -> None:
    """29.7 and 2.74 million; worked out by hand, layer by layer."""
    with torch.device("meta"):
        model = build_model("calogan", LAR)
    assert isinstance(model, CaloGAN)
    seeds = sum((x + 2) * (y + 2) * 36 * 1025 for x, y in SHAPES)
    convolutions = 3 * (2 * 2 * 36 * 16 + 16 + 2 * 16)
    connected = sum((x + 1) * (y + 1) * 390 + x * y * 24 for x, y in SHAPES)
    attention = (12 * 12 + 12 * 6) * (3 * 3 * 2 * 2 + 2)
    total = seeds + convolutions + connected + attention
    assert total == 29_726_280
    assert model.networks() == {"generator": total, "discriminator": 2_743_632}
    assert count(model.generator.layers) == total - attention
    flat = [1000, 448, 336]
    assert [layer.size for layer in model.discriminator.layers] == [f + 21 for f in flat]
    assert model.discriminator.real.in_features == sum(flat) + 3 * 21 + 3 + 1 + 1 + 1 + 10


def test_attention_may_be_left_out() -> None:
    with_, without = built(), built(attention=False)
    assert count(with_.generator) - count(without.generator) == 8208
    assert without.generator(torch.randn(2, 8), torch.ones(2)).shape == (2, 504)


def test_layers_are_resized_to_the_next_one() -> None:
    image = np.random.default_rng(0).normal(size=(2, 3, 96, 1))
    repeated = np.repeat(image, 4, axis=1)
    expected = repeated.reshape(2, 12, 12, 8, 1).mean(axis=3)
    resized = Resize((3, 96), (12, 12))(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(resized, expected, rtol=1e-12)
    halved = expected.reshape(2, 12, 6, 2, 1).mean(axis=3)
    resized = Resize((12, 12), (12, 6))(torch.from_numpy(expected)).numpy()
    np.testing.assert_allclose(resized, halved, rtol=1e-12)


def test_attention_begins_closed_and_mixes_by_softmax() -> None:
    torch.manual_seed(0)
    paint = InPainting((3, 96), (12, 12))
    image, before = torch.rand(2, 12, 12, 1), torch.rand(2, 3, 96, 1)
    assert torch.allclose(paint(image, before), image, atol=1e-2)
    with torch.no_grad():
        paint.weigh.weight.zero_()
        assert paint.weigh.bias is not None
        paint.weigh.bias[:, :, 0], paint.weigh.bias[:, :, 1] = 0.0, np.log(3.0)
    expected = 0.25 * image + 0.75 * paint.resize(before)
    assert torch.allclose(paint(image, before), expected, rtol=1e-5)


def test_published_step_order_and_who_learns() -> None:
    model = built()
    recorder = Recorder(model)
    model.training_step(batch(model, sample()), recorder)
    assert recorder.names == ["discriminator", "discriminator", "generator", "generator"]
    assert recorder.with_gradient == [{"discriminator"}] * 2 + [{"generator"}] * 2
    assert all(p.requires_grad for p in model.parameters())
    rates = {name: o.param_groups[0]["lr"] for name, o in model.optimizers().items()}
    assert rates == {"discriminator": 2e-5, "generator": 2e-4}
    assert all(o.param_groups[0]["betas"][0] == 0.5 for o in model.optimizers().values())


def test_fakes_for_the_discriminator_use_running_means(monkeypatch: pytest.MonkeyPatch) -> None:
    model, modes = built(), []
    original = model.generator.forward

    def spy(*inputs: torch.Tensor) -> torch.Tensor:
        modes.append(model.generator.training)
        return original(*inputs)

    monkeypatch.setattr(model.generator, "forward", spy)
    model.training_step(batch(model, sample()), Recorder(model))
    assert modes == [False, True, True]


def judged(model: CaloGAN, logit: list[float], total: list[float], energy: list[float]) -> Any:
    """The loss where the discriminator says this, of real showers."""
    verdict = Verdict(torch.tensor(logit), torch.tensor(total), None)
    model.discriminator.forward = lambda *_: verdict  # type: ignore[method-assign]
    return model._judge(torch.zeros(2, 504), torch.tensor(energy), None, real=True)


def test_losses_are_weighted_as_published() -> None:
    total, parts = judged(built(), [0.5, -2.0], [30.0, 52.0], [33.0, 50.0])
    entropy = np.mean(np.log1p(np.exp(-np.array([0.5, -2.0]))))
    assert parts["real_or_fake"].item() == pytest.approx(entropy, rel=1e-6)
    assert parts["energy"].item() == pytest.approx(2.5)
    assert total.item() == pytest.approx(entropy + 0.05 * 2.5, rel=1e-6)


def test_no_label_is_flipped() -> None:
    """A discriminator that is right of every shower has no loss at all."""
    n = 400
    model = built()
    verdict = Verdict(torch.full((n,), 30.0), torch.ones(n), None)
    model.discriminator.forward = lambda *_: verdict  # type: ignore[method-assign]
    _, parts = model._judge(torch.zeros(n, 504), torch.ones(n), None, real=True)
    assert parts["real_or_fake"].item() < 1e-12


def test_energies_that_the_discriminator_looks_at() -> None:
    model = built()
    cells = torch.zeros(2, 504)
    cells[0, 5], cells[0, 288], cells[0, 432] = 1.0, 20.0, 3.0  # one cell of every layer
    cells[1, 287], cells[1, 431] = 8.0, 2.0
    parts = cells.split([288, 144, 72], dim=1)
    features = model.discriminator._energies(parts, torch.tensor([30.0, 14.0]))
    layers, total, miss, far, likeness = (f.detach().numpy() for f in features)
    np.testing.assert_allclose(layers, [[0.1, 2.0, 0.3], [0.8, 0.2, 0.0]], rtol=1e-6)
    np.testing.assert_allclose(total, [[0.24], [0.10]], rtol=1e-6)
    np.testing.assert_allclose(miss, [[6.0], [4.0]], rtol=1e-6)
    np.testing.assert_allclose(far, [[10.0], [0.0]])
    assert likeness.shape == (2, 10)
    assert np.all(likeness >= np.tanh(1.0) - 1e-6)  # a shower is always like itself
    verdict = model.discriminator(cells, torch.tensor([30.0, 14.0]))
    assert verdict.total.tolist() == pytest.approx([24.0, 10.0])


def test_sparsity_is_the_fraction_of_cells_hit() -> None:
    layer = built().discriminator.layers[0]
    image = torch.zeros(2, 3, 96, 1)
    image[0, 1, 10:34] = 0.5
    features = layer(image)
    assert features[:, 1010].tolist() == pytest.approx([24 / 288, 0.0])


def test_empty_showers_give_finite_gradients() -> None:
    model = built(classes=PARTICLES)
    cells = torch.zeros(3, 504, requires_grad=True)
    total, _ = model._judge(cells, torch.ones(3), torch.arange(3), real=False)
    total.backward()
    assert cells.grad is not None
    assert torch.isfinite(cells.grad).all()
    gradients = [p.grad for p in model.discriminator.parameters()]
    assert all(g is not None and torch.isfinite(g).all() for g in gradients)


def test_the_latent_vector_is_multiplied_by_the_energy() -> None:
    model = built().eval()
    noise, condition = torch.randn(3, 8), torch.tensor([[20e3], [50e3], [90e3]])
    with torch.no_grad():
        made = model(condition, noise)
        assert torch.allclose(made, model(2 * condition, noise / 2), rtol=1e-6)
        gev = model.generator(noise, condition[:, 0] / 1e5)
        assert torch.allclose(made, 1000.0 * gev, rtol=1e-3, atol=1e-3)


def test_cells_are_layers_with_y_fastest() -> None:
    model = built(attention=False).eval()
    noise, energy = torch.randn(1, 8), torch.ones(1)
    with torch.no_grad():
        cells = model.generator(noise, energy)[0]
        image = model.generator.layers[2](noise)[0, :, :, 0].relu()
    index = LAR.cell_index(np.array(2), np.array(7), np.array(4))
    assert cells[int(index)] == image[7, 4]


def test_fakes_cover_the_training_range() -> None:
    model = built()
    torch.manual_seed(0)
    _, energy, _ = model._fakes(300, torch.device("cpu"))
    low, high = (f(sample().incident.energy) / 1e3 for f in (np.min, np.max))
    assert low <= energy.min() <= energy.max() <= high
    assert energy.mean().item() == pytest.approx((low + high) / 2, rel=0.1)
    published = built(fake_energy=[1.0, 100.0])
    assert published.fake_energy.tolist() == [1.0, 100.0]


# ------------------------------------------------------------------ several particles


def test_a_class_head_for_two_and_for_three() -> None:
    two, model = built(classes=[11, 22]), built(classes=PARTICLES)
    heads = [one.discriminator.classes for one in (two, model)]
    assert [head.out_features for head in heads if head is not None] == [1, 3]
    assert model.condition_columns == ("energy", "pdg")
    assert model.generator.embedding is not None
    assert model.generator.embedding.weight.shape == (3, 8)
    losses = model.training_step(batch(model, sample()), Recorder(model))
    assert {name for name in losses if name.endswith("class")} == {
        "discriminator/real/class",
        "discriminator/fake/class",
        "generator/class",
    }


def test_class_losses_by_hand() -> None:
    two = class_loss(torch.tensor([[2.0], [-1.0]]), torch.tensor([1, 1]))
    assert two.item() == pytest.approx(np.mean(np.log1p(np.exp([-2.0, 1.0]))), rel=1e-6)
    logits = np.array([[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]])
    expected = np.log(np.exp(logits).sum(axis=1)) - logits[[0, 1], [2, 1]]
    three = class_loss(torch.from_numpy(logits), torch.tensor([2, 1]))
    assert three.item() == pytest.approx(expected.mean(), rel=1e-6)


def test_flipped_classes_are_others_at_the_published_rate() -> None:
    torch.manual_seed(0)
    n = 20_000
    numbers = torch.arange(n) % 3
    flipped = flip_classes(numbers, 3, 0.3)
    moved = flipped != numbers
    assert moved.float().mean().item() == pytest.approx(0.3, abs=4 * (0.21 / n) ** 0.5)
    steps = (flipped - numbers)[moved] % 3
    assert steps.float().mean().item() == pytest.approx(1.5, abs=0.03)
    assert torch.equal(flip_classes(numbers % 2, 2, 1.0), 1 - numbers % 2)


def test_the_particle_changes_the_shower() -> None:
    model = built(classes=PARTICLES).eval()
    noise = torch.randn(1, 8).repeat(4, 1)
    condition = torch.tensor([[50e3, code] for code in (11.0, 22.0, 11.0, 13.0)])
    with torch.no_grad():
        made = model(condition, noise)
    assert torch.equal(made[0], made[2])
    assert not torch.equal(made[0], made[1])
    assert torch.isnan(made[3]).all()  # a muon is none of the classes


def test_unknown_particles_are_named(tmp_path: Path) -> None:
    model = built(classes=[11, 22])
    with pytest.raises(ShowerError, match=r"211.*11, 22"):
        model.training_step(batch(model, sample()), Recorder(model))
    saved = load_model(save_artifact(tmp_path / "m", model.eval(), Provenance(step="test")))
    with pytest.raises(ModelError, match=r"11, 22.*211.*--particle"):
        saved.generate(energy=50, n=2, particle="pi+")
    assert saved.generate(energy=50, n=2, particle="gamma").incident["pdg"].tolist() == [22, 22]
    for wrong in ([11], [11, 11]):
        with pytest.raises(ConfigError, match="different PDG codes"):
            build_model("calogan", LAR, {"classes": wrong})


def test_only_its_own_layers_fit() -> None:
    with pytest.raises(GeometryError, match="calogan-lar"):
        build_model("calogan", load_detector("par04-siw"))


def test_the_recipe_trains_and_generates(tmp_path: Path) -> None:
    data = write_showers(tmp_path / "a.h5", sample(8))
    overrides = ["model.latent_size=8", "training.batch_size=4", "training.max_steps=2"]
    model = load_model(train("calogan", data, tmp_path / "m", overrides=overrides))
    made = model.generate(energy="10:100", n=5, seed=1)
    assert len(made) == 5
    assert made.calorimeter.hash == LAR.hash


def test_the_export_agrees_on_every_cell(tmp_path: Path) -> None:
    model = built(classes=[11, 22]).eval()
    folder = save_artifact(tmp_path / "m", model, Provenance(step="test"))
    engine = OnnxEngine(export_onnx(folder, tmp_path / "m.onnx"))
    noise = shower_noise(1, 0, 6, 8, "normal")
    condition = np.stack([np.linspace(5e3, 9e4, 6), np.resize([11, 22], 6)], axis=1)
    condition = condition.astype(np.float32)
    with torch.no_grad():
        expected = model(torch.from_numpy(condition), torch.from_numpy(noise)).numpy()
    assert (expected > 0).sum() > 100
    np.testing.assert_allclose(engine.run(condition, noise), expected, rtol=1e-6, atol=0)
