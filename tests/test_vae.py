"""Par04's dense variational autoencoder: the published sizes and loss, values by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from caloforge.artifact import save_artifact
from caloforge.errors import ConfigError
from caloforge.export import export_onnx
from caloforge.geometry import load_detector
from caloforge.models import TrainingBatch, TrainingSample, build_model
from caloforge.models.latents import divergence, normal_from_uniform
from caloforge.models.vae import DenseVAE
from caloforge.showers import Incident, Provenance, Showers
from helpers import random_showers, small_calorimeter


def built(showers: Showers, **config: object) -> DenseVAE:
    torch.manual_seed(0)
    model = build_model("vae", showers.calorimeter, config)
    assert isinstance(model, DenseVAE)
    model.prepare(TrainingSample.whole(showers))
    return model


def batch_of(showers: Showers, *columns: str) -> TrainingBatch:
    condition = np.stack([showers.incident[name] for name in columns], axis=1)
    return TrainingBatch(
        torch.from_numpy(condition.astype(np.float32)), torch.from_numpy(showers.dense())
    )


def dense(before: int, after: int) -> int:
    return before * after + after


def test_parameters_are_those_of_the_published_layers() -> None:
    """40,500 cells and 4 conditions; 100, 50, 20, 14; 10 latents; batch norms."""
    normalised = 2 * (100 + 50 + 20 + 14)
    encoder = dense(40_504, 100) + dense(100, 50) + dense(50, 20) + dense(20, 14)
    encoder += 2 * dense(14, 10) + normalised
    decoder = dense(14, 14) + dense(14, 20) + dense(20, 50) + dense(50, 100)
    decoder += dense(100, 40_500) + normalised
    assert (encoder, decoder) == (4_057_532, 4_097_528)
    with torch.device("meta"):
        model = build_model("vae", load_detector("par04-siw-fine"))
    assert model.networks() == {"encoder": encoder, "decoder": decoder}


def test_hidden_layers_are_dense_leaky_normalised() -> None:
    model = built(random_showers(6))
    kinds = [type(layer).__name__ for layer in model.decoder.hidden]
    assert kinds == ["Linear", "Leaky", "BatchNorm1d"] * 4
    normalisation = model.decoder.hidden[2]
    assert isinstance(normalisation, nn.BatchNorm1d)
    assert (normalisation.eps, normalisation.momentum) == (1e-3, 0.01)
    leaky = model.decoder.hidden[1]
    assert leaky(torch.tensor([-2.0, 3.0])).tolist() == pytest.approx([-0.6, 3.0])


def test_networks_see_the_published_conditions() -> None:
    model = built(random_showers(6), condition=["energy", "theta"])
    condition = torch.tensor([[1_024_000.0, np.pi / 2], [64_000.0, np.radians(60.0)]])
    known = model._known(condition)
    assert known.numpy() == pytest.approx(
        np.array([[1.0, 1.0, 0.0, 1.0], [0.0625, 60 / 90, 0.0, 1.0]]), rel=1e-6
    )
    assert built(random_showers(6))._known(condition[:, :1])[:, 1].tolist() == [1.0, 1.0]


def test_loss_is_cross_entropy_and_divergence() -> None:
    """Both terms from their definitions, with latents that are certain."""
    showers = random_showers(3)
    model = built(showers, divergence_weight=0.25).eval()
    with torch.no_grad():
        model.encoder.log_variance.weight.zero_()
        model.encoder.log_variance.bias.fill_(-60.0)
    batch = batch_of(showers, "energy")
    total, parts = model.losses(batch)
    with torch.no_grad():
        known = model._known(batch.condition)
        share = (batch.energy / batch.condition).double().numpy()
        mean, _ = model.encoder(batch.energy / batch.condition, known)
        p = torch.sigmoid(model.decoder(mean, known).double()).numpy()
    entropy = -(share * np.log(p) + (1 - share) * np.log(1 - p)).sum(1).mean()
    apart = 0.5 * (mean.double().numpy() ** 2 - 1 + 60.0).sum(1).mean()
    assert parts["reconstruction"].item() == pytest.approx(entropy, rel=1e-5)
    assert parts["divergence"].item() == pytest.approx(apart, rel=1e-5)
    assert total.item() == pytest.approx(entropy + 0.25 * apart, rel=1e-5)


def test_divergence_of_two_normal_densities() -> None:
    """By numerical integration of q ln(q / p)."""
    x = np.linspace(-12.0, 12.0, 40_001)

    def density(mean: float, variance: float) -> np.ndarray:
        return np.exp(-((x - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)

    q, p = density(0.4, 0.5), density(-0.7, 1.6)
    expected = np.trapezoid(q * np.log(q / p), x)
    found = divergence(*(torch.tensor([v]) for v in (0.4, np.log(0.5), -0.7, np.log(1.6))))
    assert found.item() == pytest.approx(expected, rel=1e-5)
    standard = divergence(torch.tensor([0.4]), torch.tensor([np.log(0.5)]))
    assert standard.item() == pytest.approx(
        np.trapezoid(q * np.log(q / density(0.0, 1.0)), x), rel=1e-5
    )


def test_normal_numbers_from_uniform_ones() -> None:
    generator = torch.Generator().manual_seed(0)
    uniform = torch.rand(50_000, 4, generator=generator, dtype=torch.float64)
    normal = normal_from_uniform(uniform).numpy()
    assert normal.mean(0) == pytest.approx(np.zeros(4), abs=0.03)
    assert np.cov(normal.T) == pytest.approx(np.eye(4), abs=0.03)
    assert (normal**4).mean(0) == pytest.approx(3 * np.ones(4), abs=0.15)
    ends = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    assert torch.isfinite(normal_from_uniform(ends)).all()


def test_starts_from_the_mean_shower_and_keeps_it() -> None:
    """Untrained, the shares are nearly the sample's; a second sample changes nothing."""
    showers = random_showers(200)
    model = built(showers).eval()
    share = (showers.dense().astype(np.float64) / showers.incident.energy[:, None]).mean(0)
    assert torch.sigmoid(model.decoder.usual).numpy() == pytest.approx(share, rel=1e-3, abs=2e-9)
    condition = torch.full((50, 1), 50e3)
    with torch.no_grad():
        made = model(condition, torch.randn(50, 10)).numpy()
    assert made.sum(1).mean() == pytest.approx(50e3 * share.sum(), rel=0.1)
    before = model.decoder.usual.clone()
    model.prepare(TrainingSample.whole(random_showers(5, seed=8)))
    assert torch.equal(model.decoder.usual, before)


def test_empty_showers_give_finite_gradients() -> None:
    showers = random_showers(4)
    model = built(showers).train()
    empty = TrainingBatch(torch.full((3, 1), 20e3), torch.zeros(3, showers.calorimeter.n_cells))
    total, _ = model.losses(empty)
    total.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_learns_how_the_energy_divides() -> None:
    """Showers with all energy in either half: so are the generated ones, after short training."""
    calorimeter = small_calorimeter(n=3, layers=2)
    rng = np.random.default_rng(1)
    front = rng.random(600) < 0.5
    cells = np.zeros((600, 18))
    cells[front, :9], cells[~front, 9:] = 10.0, 10.0
    incident = Incident({"energy": np.full(600, 1000.0)})
    provenance = Provenance(step="test", geometry=calorimeter.hash)
    showers = Showers.from_dense(calorimeter, incident, cells, provenance)
    model = built(showers, learning_rate=1e-2, divergence_weight=1 / 128).train()
    optimizer = model.optimizers()["vae"]
    whole = batch_of(showers, "energy")
    for step in range(300):
        rows = slice(step % 6 * 100, step % 6 * 100 + 100)
        total, _ = model.losses(TrainingBatch(whole.condition[rows], whole.energy[rows]))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        made = model(torch.full((300, 1), 1000.0), torch.randn(300, 10)).numpy()
    share = made[:, :9].sum(1) / made.sum(1)
    assert made.sum(1).mean() == pytest.approx(90.0, rel=0.2)
    assert (share < 0.15).mean() + (share > 0.85).mean() > 0.25
    assert 0.25 < share.mean() < 0.75


def test_exports_for_any_calorimeter(tmp_path: Path) -> None:
    model = built(random_showers(8), condition=["energy", "theta"]).eval()
    folder = save_artifact(tmp_path / "m", model, Provenance(step="test"))
    assert export_onnx(folder, tmp_path / "m.onnx").exists()


def test_the_condition_begins_with_the_energy() -> None:
    for wrong in (["theta"], ["energy", "energy"], []):
        with pytest.raises(ConfigError, match="condition"):
            build_model("vae", small_calorimeter(), {"condition": wrong})
