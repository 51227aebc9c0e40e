"""Triforce's GAN: the sizes of its printed tables, torch's conventions, trilinear upsampling."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.interpolate import RegularGridInterpolator

from caloforge.models import published_networks
from caloforge.models.triforce.gan import SLOPE, TriforceGenerator, Trilinear


@pytest.fixture(scope="module")
def generator() -> TriforceGenerator:
    torch.manual_seed(0)
    return TriforceGenerator()


def test_parameter_counts_are_the_printed_ones() -> None:
    assert published_networks("triforce-gan") == {"generator": 3_456_861, "discriminator": 73_402}


def test_every_line_of_the_printed_table(generator: TriforceGenerator) -> None:
    """Shapes and parameters, layer by layer."""
    found: list[tuple[str, tuple[int, ...], int]] = []

    def note(layer: torch.nn.Module, _: object, out: torch.Tensor) -> None:
        numbers = sum(p.numel() for p in layer.parameters())
        found.append((type(layer).__name__, tuple(out.shape[1:]), numbers))

    wanted = torch.nn.Linear | torch.nn.Conv3d | torch.nn.BatchNorm3d | Trilinear
    layers = [layer for layer in generator.modules() if isinstance(layer, wanted)]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    image = generator(torch.randn(2, 1024))
    for hook in hooks:
        hook.remove()
    assert found == [
        ("Linear", (3136,), 3_214_400),
        ("Conv3d", (64, 6, 6, 7), 147_520),
        ("BatchNorm3d", (64, 6, 6, 7), 128),
        ("Trilinear", (64, 12, 12, 14), 0),
        ("Conv3d", (6, 13, 14, 9), 92_166),
        ("Trilinear", (6, 26, 28, 27), 0),
        ("Conv3d", (6, 26, 26, 26), 2_598),
        ("Conv3d", (1, 25, 25, 25), 49),
    ]
    assert image.shape == (2, 1, 25, 25, 25)
    assert (image >= 0).all()


def test_conventions_are_those_of_torch(generator: TriforceGenerator) -> None:
    assert SLOPE == 0.01
    norms = [m for m in generator.modules() if isinstance(m, torch.nn.BatchNorm3d)]
    assert [(norm.momentum, norm.eps) for norm in norms] == [(0.1, 1e-5)]


def test_upsampling_is_linear_between_the_corners() -> None:
    """Against SciPy, both ways."""
    rng = np.random.default_rng(0)
    image, factor = rng.random((3, 4, 5)), (2, 1, 3)
    axes = [np.arange(n) for n in image.shape]
    fine = [np.linspace(0, n - 1, n * f) for n, f in zip(image.shape, factor, strict=True)]
    at = np.stack(np.meshgrid(*fine, indexing="ij"), axis=-1)
    expected = RegularGridInterpolator(axes, image)(at)
    layer = Trilinear(factor)
    found = layer(torch.from_numpy(image)[None, None])[0, 0].numpy()
    assert found == pytest.approx(expected, rel=1e-12)
    inferred = layer.infer(torch.from_numpy(image)[None, ..., None])[0, ..., 0].numpy()
    assert inferred == pytest.approx(expected, rel=1e-12)


def test_inference_is_the_generator_with_running_means(generator: TriforceGenerator) -> None:
    norm = generator.first[-1]
    torch.nn.init.uniform_(norm.running_mean, -0.1, 0.1)  # type: ignore[arg-type]
    torch.nn.init.uniform_(norm.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    latent = torch.randn(3, 1024, dtype=torch.float64)
    with torch.no_grad():
        found = generator.infer(latent)
        expected = generator.eval().double()(latent)
    assert expected.max() > 0
    assert torch.allclose(found.float(), expected, rtol=1e-5, atol=1e-6)
