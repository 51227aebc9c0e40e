"""Files for Geant4's Par04 example, read the way its C++ code reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from caloforge.api import export
from caloforge.artifact import Artifact, describe
from caloforge.errors import ConfigError, GeometryError, ModelError, OutputError
from caloforge.export import Par04Options, export_par04
from caloforge.export.mesh import mesh_of
from caloforge.export.on_mesh import uniform_of
from caloforge.geometry import Calorimeter, CylindricalGrid, Layer, Material, Stack, load_detector
from caloforge.models import ShowerModel, build_any
from caloforge.models.base import Latent, ModelConfig
from caloforge.showers import Provenance
from caloforge.transform.shares import cell_shares
from helpers import small_calorimeter
from par04_example import Par04Example


def barrel(rings: int = 3, sectors: int = 4, slices: int = 5) -> Calorimeter:
    """A small Par04."""
    edges = tuple(2.5 * k for k in range(rings + 1))
    grid = CylindricalGrid(r_edges=edges, n_phi=sectors)
    slabs = (
        Material(material="G4_W", thickness=1.4),
        Material(material="G4_Si", thickness=0.3, active=True),
    )
    return Calorimeter(
        name="barrel",
        cell_threshold=5e-4,
        inner_radius=800.0,
        stacks=(Stack(repeat=2 * slices, slabs=slabs),),
        layers=tuple(Layer(z=3.4 * k, thickness=3.4, segmentation=grid) for k in range(slices)),
    )


def artifact_of(model: ShowerModel) -> Artifact:
    provenance = Provenance(step="train", geometry=model.calorimeter.hash)
    return Artifact(Path("model"), model.eval(), describe(model, provenance), provenance)


def par04_vae(calorimeter: Calorimeter) -> ShowerModel:
    """Par04's own autoencoder, with random weights and showers of 2 % of the energy."""
    model = build_any("vae", calorimeter, {"condition": ["energy", "theta"]})
    state: Any = model
    torch.nn.init.normal_(state.decoder.usual, -6.0, 1.0)
    assert isinstance(model, ShowerModel)
    return model


class Echo(ShowerModel):
    """Writes what it is told, and its noise, into the first cells; then the cells' numbers."""

    kind = "echo"
    config_class = ModelConfig

    def __init__(
        self, calorimeter: Calorimeter, columns: tuple[str, ...], distribution: Any = "normal"
    ) -> None:
        super().__init__(calorimeter, ModelConfig())
        self.condition_columns = columns
        self._latent = Latent(3, distribution)

    @property
    def latent(self) -> Latent:
        return self._latent

    def forward(self, condition: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        numbers = torch.arange(self.calorimeter.n_cells, dtype=torch.float32)
        said = torch.cat([condition, noise], dim=-1)
        rest = numbers[said.shape[1] :].expand(len(condition), -1)
        return torch.cat([said, rest], dim=-1)


@pytest.mark.parametrize("theta", [np.pi / 2, 1.2])
def test_the_example_deposits_the_models_shower(theta: float, tmp_path: Path) -> None:
    calorimeter = barrel()
    model = par04_vae(calorimeter)
    export_par04(artifact_of(model), tmp_path / "vae.onnx")
    example = Par04Example(tmp_path / "vae.mac")
    cell = calorimeter.locate(*example.positions().T)
    assert np.array_equal(np.sort(cell), np.arange(calorimeter.n_cells))  # every cell once
    noise = np.random.default_rng(1).normal(size=10).astype(np.float32)
    for energy in (1e4, 5e4, 3e5):
        condition = torch.tensor([[energy, theta]], dtype=torch.float32)
        with torch.inference_mode():
            expected = model(condition, torch.from_numpy(noise)[None])[0].numpy()
        found = example.energies(energy, theta, 0.0, noise)
        assert expected.sum() > 0
        np.testing.assert_allclose(found, expected[cell], rtol=1e-4, atol=1e-4)


def test_the_vector_of_the_vae_mode(tmp_path: Path) -> None:
    """Latents first, then E / 1,024,000 MeV and theta / 90 degrees; shares come back."""
    calorimeter = barrel()
    export_par04(artifact_of(Echo(calorimeter, ("theta", "energy", "x"))), tmp_path / "e.onnx")
    example = Par04Example(tmp_path / "e.mac")
    (given,) = example.session.get_inputs()
    assert (given.shape, given.type) == ([1, 7], "tensor(float)")
    noise = np.array([0.5, 1.5, 2.5], np.float32)
    found = example.energies(2e5, 1.1, 9.0, noise)
    cell = calorimeter.locate(*example.positions().T)
    by_cell = np.empty(calorimeter.n_cells)
    by_cell[cell] = found
    expected = [1.1, 2e5, 0.0, *noise, *range(6, calorimeter.n_cells)]
    np.testing.assert_allclose(by_cell, expected, rtol=1e-5, atol=1e-5)


def test_the_vector_of_the_calodit_mode(tmp_path: Path) -> None:
    """GeV, phi, theta and the geometry; GeV come back, with other noise every time."""
    calorimeter = barrel()
    model = Echo(calorimeter, ("energy", "theta", "phi"))
    export_par04(artifact_of(model), tmp_path / "e.onnx", "CaloDiT-2")
    example = Par04Example(tmp_path / "e.mac")
    (given,) = example.session.get_inputs()
    assert (given.shape, given.type) == ([1, 8], "tensor(float)")
    cell = calorimeter.locate(*example.positions().T)
    rows = np.empty((200, calorimeter.n_cells))
    for row in rows:
        row[cell] = example.energies(2e5, 1.1, 0.7, np.empty(0))
    np.testing.assert_allclose(rows[:, :3], np.tile([2e5, 1.1, 0.7], (200, 1)), rtol=1e-5)
    noise = rows[:, 3:6]
    assert len(np.unique(noise)) == noise.size
    assert abs(noise.mean()) < 4 / np.sqrt(noise.size)
    assert 0.85 < noise.std() < 1.15


def test_uniform_latents_come_from_the_normal_numbers_of_geant4(tmp_path: Path) -> None:
    from scipy.stats import norm

    calorimeter = barrel()
    export_par04(artifact_of(Echo(calorimeter, ("energy",), "uniform")), tmp_path / "e.onnx")
    example = Par04Example(tmp_path / "e.mac")
    noise = np.array([-3.0, 0.0, 1.3], np.float32)
    by_cell = np.empty(calorimeter.n_cells)
    by_cell[calorimeter.locate(*example.positions().T)] = example.energies(1e4, 1.5, 0.0, noise)
    np.testing.assert_allclose(by_cell[1:4], norm.cdf(noise), rtol=1e-4)


def test_uniform_numbers_stay_inside_at_any_distance() -> None:
    far = uniform_of(torch.tensor([-40.0, -6.0, 6.0, 40.0]))
    assert 0 < float(far.min()) <= float(far.max()) < 1


def test_the_macro_builds_the_detector_of_the_model(tmp_path: Path) -> None:
    calorimeter = load_detector("par04-siw-fine")
    mesh = mesh_of(calorimeter)
    assert (mesh.n_rho, mesh.n_phi, mesh.n_z) == (18, 50, 45)
    assert mesh.d_rho == pytest.approx(2.325)
    assert mesh.d_z == pytest.approx(3.4)
    export_par04(artifact_of(par04_vae(calorimeter)), tmp_path / "vae.onnx")
    example = Par04Example(tmp_path / "vae.mac")
    assert example.number == [18, 50, 45]
    detector = "/Par04/detector"
    assert example.said[f"{detector}/setNbOfLayers"] == "90"
    assert example.said[f"{detector}/setDetectorInnerRadius"] == "80 cm"
    assert example.said[f"{detector}/setAbsorber 0"] == "0 G4_W 1.4 mm false"
    assert example.said[f"{detector}/setAbsorber 1"] == "1 G4_Si 0.3 mm true"
    assert example.inference("setSizeLatentVector") == "10"
    assert example.models == ["defineMesh", "inferenceModel"]
    assert len(example.energies(5e4, np.pi / 2, 0.0, np.zeros(10, np.float32))) == 40_500
    metadata = json.loads((tmp_path / "vae.json").read_text())
    assert metadata["par04"] == {
        "model_type": "VAE",
        "input": [1, 14],
        "constants": {"x": 0.0, "y": 0.0, "z": 0.0},
    }


def test_torchscript_of_the_calodit_mode(tmp_path: Path) -> None:
    """The example's TORCH library gives one tensor of eight numbers."""
    calorimeter = barrel()
    model = Echo(calorimeter, ("energy", "theta", "phi"))
    export_par04(artifact_of(model), tmp_path / "e.pt", "CaloDiT-2")
    module = torch.jit.load(str(tmp_path / "e.pt"))
    vector = torch.tensor([200.0, 0.7, 1.1, 1.0, 0.0, 0.0, 0.0, 0.0])
    first, second = (module(vector).ravel().numpy() * 1e3 for _ in range(2))
    example = Par04Example(tmp_path / "e.mac")
    by_cell = np.empty(calorimeter.n_cells)
    by_cell[calorimeter.locate(*example.positions().T)] = first
    np.testing.assert_allclose(by_cell[:3], [2e5, 1.1, 0.7], rtol=1e-5)
    assert not np.array_equal(first, second)
    assert example.inference("setInferenceLibrary") == "TORCH"


def test_square_cells_are_refused_or_shared_out(tmp_path: Path) -> None:
    flat = small_calorimeter()
    artifact = artifact_of(Echo(flat, ("energy", "theta")))
    with pytest.raises(GeometryError, match=r"cartesian cells.*--rebin"):
        export_par04(artifact, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []
    mesh = barrel(rings=6, sectors=5, slices=6)
    export_par04(artifact, tmp_path / "m.onnx", options=Par04Options(rebin=mesh))
    example = Par04Example(tmp_path / "m.mac")
    noise = np.array([0.5, 1.5, 2.5], np.float32)
    found = example.energies(1e3, 0.3, 0.0, noise)  # theta: the cells turn with the particle
    shower = np.array([1e3, np.pi / 2, *noise, *range(5, flat.n_cells)])
    expected = shower @ cell_shares(flat, mesh, "depth").matrix
    np.testing.assert_allclose(found, expected[mesh.locate(*example.positions().T)], rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"layers": 0}, "different rings"),
        ({"edges": (0.0, 2.0, 5.0)}, "rings of several widths"),
        ({"edges": (1.0, 2.0, 3.0)}, "rings of several widths"),
        ({"thickness": 5.0}, "layers of several depths"),
    ],
)
def test_other_cylinders_are_refused(change: dict[str, Any], reason: str) -> None:
    calorimeter = barrel()
    layers = list(calorimeter.layers)
    if "edges" in change:
        grid = CylindricalGrid(r_edges=change["edges"], n_phi=4)
        layers = [layer.model_copy(update={"segmentation": grid}) for layer in layers]
    elif "thickness" in change:
        layers[-1] = layers[-1].model_copy(update={"thickness": change["thickness"]})
    else:
        grid = CylindricalGrid(r_edges=(0.0, 1.0), n_phi=1)
        layers[0] = layers[0].model_copy(update={"segmentation": grid})
    with pytest.raises(GeometryError, match=reason):
        mesh_of(calorimeter.model_copy(update={"layers": tuple(layers)}))


def test_what_par04_does_not_tell(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"particle's phi.*par04-calodit"):
        export_par04(artifact_of(Echo(barrel(), ("energy", "phi"))), tmp_path / "m.onnx")
    several = Echo(barrel(), ("energy", "pdg"))
    several.particles = (11, 22)
    with pytest.raises(ModelError, match=r"--particle, one of 11, 22"):
        export_par04(artifact_of(several), tmp_path / "m.onnx")
    with pytest.raises(ModelError, match=r"--particle, one of 11, 22"):
        export_par04(artifact_of(several), tmp_path / "m.onnx", options=Par04Options(particle=211))
    export_par04(artifact_of(several), tmp_path / "m.onnx", options=Par04Options(particle=22))
    example = Par04Example(tmp_path / "m.mac")
    by_cell = np.empty(several.calorimeter.n_cells)
    at = several.calorimeter.locate(*example.positions().T)
    by_cell[at] = example.energies(1e4, 1.5, 0.0, np.zeros(3, np.float32))
    assert by_cell[1] == pytest.approx(22.0)


def test_a_calorimeter_without_a_barrel(tmp_path: Path) -> None:
    plain = barrel().model_copy(update={"inner_radius": None})
    with pytest.raises(GeometryError, match="no barrel"):
        export_par04(artifact_of(Echo(plain, ("energy",))), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_wrong_requests(tmp_path: Path) -> None:
    artifact = artifact_of(Echo(barrel(), ("energy",)))
    with pytest.raises(ConfigError, match=r"ends in \.onnx"):
        export_par04(artifact, tmp_path / "m.pt")
    with pytest.raises(OutputError, match="mkdir"):
        export_par04(artifact, tmp_path / "no" / "m.onnx")
    with pytest.raises(ConfigError, match=r"--rebin is for --target par04"):
        export("lcd-ecal-25-3dgan", tmp_path / "m.onnx", rebin="par04-siw")
    with pytest.raises(ConfigError, match=r"--precision is for --target onnx"):
        export("lcd-ecal-25-3dgan", tmp_path / "m.onnx", target="par04", precision="int8")
    with pytest.raises(ConfigError, match="choose one of onnx, par04"):
        export("lcd-ecal-25-3dgan", tmp_path / "m.onnx", target="keras")
    assert list(tmp_path.iterdir()) == []
