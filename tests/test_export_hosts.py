"""Files for DDML and FastCaloSim, asked the way their C++ code asks them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from scipy.special import ndtri

from caloforge.errors import ConfigError, GeometryError, ModelError
from caloforge.export import ExportOptions, export_ddml, export_fastcalosim, export_model
from caloforge.export.hosted import normal_of
from caloforge.geometry import Calorimeter, load_detector
from caloforge.models import ShowerModel, build_any
from helpers import small_calorimeter
from test_export_par04 import Echo, artifact_of


class DDML:
    """RegularGridGANModel and ONNXInference: inputs by their place, the output as it lies."""

    def __init__(self, path: Path) -> None:
        self.session = onnxruntime.InferenceSession(path.read_bytes())
        self.names = [one.name for one in self.session.get_inputs()]

    def __call__(self, energy: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Latent numbers and energies, for a particle of so many MeV."""
        latent = np.random.default_rng(seed).uniform(-1, 1, 100).astype(np.float32)
        shapes = [(1, 100, 1, 1, 1), (1, 1, 1, 1, 1)]
        buffers = [latent, np.array([energy / 1000], np.float32)]
        told = {
            name: buffer.reshape(shape)
            for name, buffer, shape in zip(self.names, buffers, shapes, strict=True)
        }
        return latent, self.session.run(None, told)[0].ravel()


def vae(calorimeter: Calorimeter, **config: Any) -> ShowerModel:
    """Par04's autoencoder on these cells, with random weights."""
    model = build_any("vae", calorimeter, {"condition": ["energy"], **config})
    state: Any = model
    torch.nn.init.normal_(state.decoder.usual, -3.0, 1.0)
    assert isinstance(model, ShowerModel)
    return model


def test_ddml_sends_energy_and_uniform_noise(tmp_path: Path) -> None:
    calorimeter = small_calorimeter()
    path = export_ddml(artifact_of(Echo(calorimeter, ("energy", "theta"))), tmp_path / "m.onnx")
    latent, found = DDML(path)(50e3, 1)
    assert found[:2].tolist() == pytest.approx([50e3, np.pi / 2])
    np.testing.assert_allclose(found[2:5], ndtri((1 + latent[:3]) / 2), atol=1e-5)
    assert np.array_equal(found[5:], np.arange(5, 100))  # layer, x, y is the cells' own order
    about = json.loads(path.with_suffix(".json").read_text())["ddml"]
    assert about["properties"] == {
        "NCellsX": 5, "NCellsY": 5, "NCellsZ": 4, "CellSizeX": 10.0, "CellSizeY": 10.0,
        "LatentVectorSize": 100, "half_a_cell_aside": [True, True],
    }  # fmt: skip


def test_ddml_noise_of_models_that_want_it_uniform(tmp_path: Path) -> None:
    model = Echo(small_calorimeter(), ("energy",), "uniform")
    latent, found = DDML(export_ddml(artifact_of(model), tmp_path / "m.onnx"))(20e3, 2)
    np.testing.assert_allclose(found[1:4], (1 + latent[:3]) / 2, rtol=1e-6)


def test_a_network_for_ddml(tmp_path: Path) -> None:
    """Par04's autoencoder with ten numbers of noise on a grid: the showers of torch."""
    model = vae(small_calorimeter())
    path = export_ddml(artifact_of(model), tmp_path / "m.onnx")
    latent, found = DDML(path)(50e3, 3)
    noise = torch.tensor(ndtri((1 + latent[:10].astype(np.float64)) / 2), dtype=torch.float32)
    with torch.inference_mode():
        expected = model(torch.tensor([[50e3]]), noise[None])[0].numpy()
    assert expected.max() > 0.1
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-6)


def test_fastcalosim_sends_eta_energy_and_normal_noise(tmp_path: Path) -> None:
    calorimeter = small_calorimeter()
    model = Echo(calorimeter, ("energy", "theta"))
    path = export_fastcalosim(artifact_of(model), tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(path.read_bytes())
    shapes = {one.name: one.shape for one in session.get_inputs()}
    assert shapes == {
        "inn_eta_in": [1, 1],
        "inn_einc_in": [1, 1],
        "cfm_z_shape": [1, 100],
        "inn_z_energy": [1, 4],
    }
    normal = np.random.default_rng(1).normal(size=104).astype(np.float32)
    told = {
        "inn_eta_in": np.array([[10 * 0.4]], np.float32),
        "inn_einc_in": np.array([[65536.0]], np.float32),
        "cfm_z_shape": normal[None, :100],
        "inn_z_energy": normal[None, 100:],
    }
    found = session.run(None, told)[0].ravel()
    assert found[:2].tolist() == pytest.approx([65536.0, 2 * np.arctan(np.exp(-0.4))], rel=1e-6)
    np.testing.assert_allclose(found[2:5], normal[:3], rtol=1e-6)
    assert np.array_equal(found[5:], np.arange(5, 100))


def test_normal_numbers_from_even_ones() -> None:
    even = torch.linspace(-1 + 1e-6, 1 - 1e-6, 20_001)
    expected = ndtri((1 + even.double().numpy()) / 2)
    np.testing.assert_allclose(normal_of(even).numpy(), expected, atol=2e-2, rtol=2e-3)
    middle = np.abs(even.numpy()) < 0.999
    np.testing.assert_allclose(normal_of(even).numpy()[middle], expected[middle], atol=1e-4)
    assert torch.isfinite(normal_of(torch.tensor([-1.0, 1.0]))).all()


def test_what_the_hosts_cannot_ask_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "m.onnx"
    par04 = vae(load_detector("calogan-lar"))
    with pytest.raises(GeometryError, match="same square or rectangular cells"):
        export_ddml(artifact_of(par04), file)
    hungry = vae(small_calorimeter(), latents=150)
    with pytest.raises(ModelError, match="150 numbers of noise, DDML gives 100"):
        export_ddml(artifact_of(hungry), file)
    with pytest.raises(ModelError, match="150 numbers of noise, FastCaloSim gives 104"):
        export_fastcalosim(artifact_of(hungry), file)
    curious = Echo(small_calorimeter(), ("energy", "theta", "phi"))
    with pytest.raises(ModelError, match="phi, FastCaloSim tells only energy, theta"):
        export_fastcalosim(artifact_of(curious), file)
    with pytest.raises(ConfigError, match=r"ends in \.onnx"):
        export_model(artifact_of(Echo(small_calorimeter(), ("energy",))), tmp_path / "m.pt", "ddml")
    with pytest.raises(ConfigError, match="--rebin is for"):
        export_model(artifact_of(par04), file, "ddml", ExportOptions(rebin="par04-siw"))
    assert list(tmp_path.iterdir()) == []
