"""What every GAN of the 3DGAN lineage does: the published step, on both networks in turn."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch

from caloforge.errors import ConfigError, GeometryError
from caloforge.geometry import load_detector
from caloforge.models import build_model, model_kinds
from caloforge.models.threedgan.adversarial import Adversarial
from caloforge.showers import Incident, Showers
from gan_cases import Recorder, batch_of, prepared
from helpers import random_showers

KINDS = [name for name, kind in model_kinds().items() if issubclass(kind, Adversarial)]
SMALL = {"2dgan": {"width": 0.1}}


@functools.cache
def sample_of(kind: str) -> Showers:
    """Six electrons and photons."""
    showers = random_showers(6, load_detector(model_kinds()[kind].home), 1, occupancy=0.02)
    incident = Incident(
        {
            "energy": showers.incident.energy,
            "pdg": np.array([11, 22, 11, 22, 22, 11]),
            "theta": np.linspace(1.1, 2.0, 6),
        }
    )
    return Showers.from_dense(showers.calorimeter, incident, showers.dense(), showers.provenance)


def model_of(kind: str, **config: object) -> Adversarial:
    return prepared(kind, sample_of(kind), **SMALL.get(kind, {}), **config)


def test_the_lineage_is_complete() -> None:
    assert KINDS == ["3dgan", "3dgan-angle", "2dgan", "triforce-gan"]


@pytest.mark.parametrize("kind", KINDS)
def test_one_step(kind: str) -> None:
    """D on real, D on fake, G twice; each loss reaches its own network and no other."""
    model = model_of(kind, classes=[11, 22])
    recorder = Recorder(model)
    losses = model.training_step(batch_of(model, sample_of(kind), 2), recorder)
    assert recorder.names == ["discriminator", "discriminator", "generator", "generator"]
    assert recorder.with_gradient == [
        {"discriminator"},
        {"discriminator"},
        {"generator"},
        {"generator"},
    ]
    assert all(p.requires_grad for p in model.parameters())
    heads = {"real_or_fake", *(head.name for head in model.heads)}
    assert "particle" in heads
    steps = ("discriminator/real", "discriminator/fake", "generator")
    assert set(losses) == {f"{step}/{head}" for step in steps for head in heads}
    assert all(torch.isfinite(value) for value in losses.values())


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_image_gives_finite_gradients(kind: str) -> None:
    model = model_of(kind)
    image = torch.zeros(2, 1, *model.image_shape, requires_grad=True)
    targets = [torch.ones(2) for _ in model.heads]
    total, _ = model._judge(image, *targets, real=False)
    total.backward()
    assert image.grad is not None
    assert torch.isfinite(image.grad).all()
    gradients = [p.grad for p in model.discriminator.parameters() if p.grad is not None]
    assert len(gradients) == len(list(model.discriminator.parameters()))
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("kind", KINDS)
def test_other_calorimeters_are_refused(kind: str) -> None:
    other = {"lcd-ecal": "lcd-ecal-25", "lcd-ecal-25": "lcd-ecal"}[model_kinds()[kind].home]
    with pytest.raises(GeometryError, match=f"{kind} makes.*use {model_kinds()[kind].home}"):
        build_model(kind, load_detector(other))


@pytest.mark.parametrize("kind", KINDS)
def test_particles_are_a_condition_only_with_classes(kind: str) -> None:
    """Each has its vector in the generator and its logit in the discriminator; no more."""
    plain, tagged = model_of(kind), model_of(kind, classes=[11, 22, 111])
    assert "pdg" not in plain.condition_columns
    assert tagged.condition_columns == (*plain.condition_columns, "pdg")
    features = tagged.discriminator.real.in_features  # type: ignore[union-attr]
    more = {name: count - plain.networks()[name] for name, count in tagged.networks().items()}
    assert more == {
        "generator": 3 * plain.latent.size,
        "discriminator": 3 * (int(features) + 1),  # type: ignore[arg-type]
    }


@pytest.mark.parametrize("kind", ["3dgan", "3dgan-angle"])
def test_the_particle_scales_the_noise(kind: str) -> None:
    """Two particles with the same vector are the same; twice the vector is twice the noise."""
    model = model_of(kind, classes=[11, 22])
    model.eval()
    batch = batch_of(model, sample_of(kind), 1)
    electron, photon = batch.condition.clone(), batch.condition.clone()
    electron[:, -1], photon[:, -1] = 11.0, 22.0
    noise = torch.randn(1, model.latent.size)
    vectors = model.generator.particle
    assert vectors is not None
    with torch.no_grad():
        vectors.weight.uniform_(0.5, 1.5)
        vectors.weight[1] = 2 * vectors.weight[0]
        assert torch.equal(model(photon, noise), model(electron, 2 * noise))
        assert not torch.equal(model(photon, noise), model(electron, noise))


def test_the_particle_head_is_a_softmax_cross_entropy() -> None:
    model = model_of("3dgan", classes=[11, 22])
    model.eval()
    images = torch.rand(3, 1, 25, 25, 25)
    label = torch.tensor([0, 1, 1])
    total, parts = model._judge(images, *2 * [torch.ones(3)], label, real=True, flip=False)
    logits = model.discriminator(images)[3].detach().double().numpy()
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = -np.log(shares[np.arange(3), label.numpy()]).mean()
    assert parts["particle"].item() == pytest.approx(expected, rel=1e-5)
    others = 2 * parts["real_or_fake"] + 0.1 * parts["energy"] + 0.1 * parts["sum"]
    assert total.item() == pytest.approx((others + 0.4 * parts["particle"]).item(), rel=1e-6)


def test_unknown_particles_are_named() -> None:
    sample = sample_of("3dgan")
    with pytest.raises(ConfigError, match=r"PDG code 22.*\(11, 211\)"):
        prepared("3dgan", sample, classes=[11, 211])
    model = model_of("3dgan", classes=[11, 22])
    with pytest.raises(ConfigError, match="PDG code 13"):
        model(torch.tensor([[50e3, 13.0]]), torch.zeros(1, 200))


def test_fakes_of_pions_are_asked_for_the_sums_of_pions() -> None:
    """The published polynomials, worked out by hand at 100 GeV (E = 1)."""
    model = build_model("3dgan", load_detector("lcd-ecal-25"), {"classes": [22, 111, 211]})
    one = torch.ones(3)
    found = model._expected_sum(one, torch.tensor([0, 1, 2]))  # type: ignore[operator]
    electron = 0.0018 - 0.023 + 0.11 - 0.28 + 2.21
    pi0, charged = 0.0085 - 0.094 + 2.051, 0.005 - 0.07 + 1.79
    assert found.numpy() == pytest.approx(100 * np.array([electron, pi0, charged]), rel=1e-5)
