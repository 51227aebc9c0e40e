"""The convolutional variational autoencoder: layers, shapes, inference and loss."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from caloforge.artifact import save_artifact
from caloforge.export import export_onnx
from caloforge.geometry import load_detector
from caloforge.models import TrainingBatch, TrainingSample, build_model
from caloforge.models.vae import ConvVAE
from caloforge.models.vae.conv_networks import _transposed
from caloforge.runtime import shower_noise
from caloforge.showers import Provenance, Showers
from helpers import random_showers

SMALL = {"width": 4, "hidden": 16, "latents": 6, "flow_transforms": 1, "flow_hidden": [8]}


def built(showers: Showers, **config: object) -> ConvVAE:
    torch.manual_seed(0)
    model = build_model("vae-conv", showers.calorimeter, {**SMALL, **config})
    assert isinstance(model, ConvVAE)
    model.prepare(TrainingSample.whole(showers))
    return model


def batch_of(showers: Showers) -> TrainingBatch:
    condition = torch.from_numpy(showers.incident.energy.astype(np.float32))[:, None]
    return TrainingBatch(condition, torch.from_numpy(showers.dense()))


def test_sizes_of_the_networks() -> None:
    """By hand: 25 -> 13 -> 7 -> 4 cells, 26 numbers known, 32 latents, 7 numbers for a cell."""
    with torch.device("meta"):
        model = build_model("vae-conv", load_detector("lcd-ecal-25"))
    encoder = 3 * 16 * 27 + 16 + 16 * 32 * 27 + 32 + 32 * 32 * 27 + 32 + 2 * (16 + 32 + 32)
    encoder += (4**3 * 32 + 26 + 1) * 128 + 129 * 64
    decoder = (32 + 26 + 1) * 128 + 129 * 16 * 7**3
    decoder += 2 * (16 * 16 * 27 + 16 + 2 * 16) + 16 * 16 * 8 + 16 + 16 * 7 * 8 + 7
    counts = model.networks()
    assert (counts["encoder"], counts["decoder"]) == (encoder, decoder)
    assert set(counts) == {"energies", "encoder", "decoder"}


def test_transposed_convolutions_are_torchs() -> None:
    layer = nn.ConvTranspose3d(3, 5, 2, stride=2)
    image = torch.randn(2, 3, 4, 2, 3)
    found = _transposed(image.permute(0, 2, 3, 4, 1), layer)
    expected = layer(image).permute(0, 2, 3, 4, 1)
    assert found.shape == (2, 8, 4, 6, 5)
    assert torch.allclose(found, expected, atol=1e-6)


def test_inference_is_the_network_with_running_means() -> None:
    model = built(random_showers(10)).train()
    inputs = torch.randn(8, 6 + 1 + 4)
    for _ in range(3):
        model.decoder(inputs)
    model.eval()
    with torch.no_grad():
        expected = model.decoder(inputs)
        found = model.decoder.infer(inputs.double())
    assert found.dtype == torch.float64
    assert found.shape == (8, 5, 5, 4, model.hurdle.size)
    assert torch.allclose(found.float(), expected, atol=1e-5)


def test_images_and_rows_hold_the_same_cells() -> None:
    model = built(random_showers(4))
    cells = torch.arange(200.0).reshape(2, 100)
    image = model.grid.to_image(cells)  # (B, 1, x, y, depth)
    rows = model._rows(image.permute(0, 2, 3, 4, 1))
    assert torch.equal(rows[..., 0], model.hurdle.table.rows(cells))


def test_the_weight_of_the_divergence_rises() -> None:
    """The loss is the sum of its parts, the divergence from 1/20 of its weight up to all of it."""
    showers = random_showers(6)
    model = built(showers, divergence_weight=0.5, steps=10, divergence_rise=0.4).train()
    model.optimizers()
    weights: list[float] = []

    def update(optimizer: str, loss: torch.Tensor, parts: Mapping[str, torch.Tensor]) -> None:
        if optimizer == "cells":
            rest = loss.detach() - parts["hits"] - parts["levels"]
            weights.append((rest / parts["divergence"]).item())

    for _ in range(6):
        model.training_step(batch_of(showers), update)
    steps = np.minimum(np.arange(6) / 4, 1.0)
    assert weights == pytest.approx(0.5 * (0.05 + 0.95 * steps), rel=0.02)


def test_untrained_it_makes_the_usual_shower() -> None:
    """It begins from the sample's cells, and the energies are those of the energy stage."""
    showers = random_showers(200)
    model = built(showers).eval()
    condition = torch.linspace(10e3, 100e3, 100)[:, None]
    noise = torch.from_numpy(shower_noise(1, 0, 100, model.latent.size, "uniform"))
    with torch.no_grad():
        made = model(condition, noise).numpy()
    assert (made > 0).mean() == pytest.approx((showers.dense() > 0).mean(), rel=0.15)
    fraction = (showers.dense().sum(1) / showers.incident.energy).mean()
    assert (made.sum(1) / condition[:, 0].numpy()).mean() == pytest.approx(fraction, rel=0.3)


def test_empty_showers_give_finite_gradients() -> None:
    showers = random_showers(4)
    model = built(showers).train()
    empty = TrainingBatch(torch.full((3, 1), 20e3), torch.zeros(3, 100))

    model.optimizers()

    def update(optimizer: str, loss: torch.Tensor, parts: object) -> None:
        loss.backward()

    model.training_step(empty, update)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_a_second_sample_changes_nothing() -> None:
    model = built(random_showers(8))
    before = {name: value.clone() for name, value in model.named_buffers()}
    model.prepare(TrainingSample.whole(random_showers(8, seed=5)))
    assert all(torch.equal(value, before[name]) for name, value in model.named_buffers())


def test_exports(tmp_path: Path) -> None:
    model = built(random_showers(8)).eval()
    folder = save_artifact(tmp_path / "m", model, Provenance(step="test"))
    assert export_onnx(folder, tmp_path / "m.onnx").exists()
