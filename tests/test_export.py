"""Export: the graph holds the whole chain and agrees with torch on every cell."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from caloforge.api import load_model, train
from caloforge.artifact import load_artifact
from caloforge.beam import particles
from caloforge.errors import ModelError, OutputError
from caloforge.export import export_onnx
from caloforge.export.graph import tidy, translations
from caloforge.generate import generate_to_store, open_engine
from caloforge.geometry import Calorimeter
from caloforge.runtime import OnnxEngine, shower_noise
from caloforge.shipped import shipped_models
from caloforge.store import open_showers, write_showers
from helpers import lcd_showers


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3DGAN after three steps."""
    folder = tmp_path_factory.mktemp("export")
    data = write_showers(folder / "train.h5", lcd_showers(8))
    overrides = ["training.batch_size=4", "training.max_steps=3"]
    return train("3dgan", data, folder / "model", overrides=overrides)


@pytest.fixture(scope="module")
def exported(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_onnx(model, tmp_path_factory.mktemp("export") / "model.onnx")


def test_every_cell_above_threshold_agrees_to_1e_4(model: Path, exported: Path) -> None:
    torch_showers = load_model(model).generate(energy="10:100", n=24, seed=2)
    onnx_showers = load_model(exported, "onnx").generate(energy="10:100", n=24, seed=2)
    expected, found = torch_showers.dense(), onnx_showers.dense()
    above = (expected > 0) | (found > 0)
    assert above.sum() > 100
    assert np.abs(found[above] / expected[above] - 1.0).max() <= 1e-4


EXPORTABLE = [name for name in shipped_models() if load_artifact(name).model.exportable]


@pytest.mark.parametrize("name", EXPORTABLE)
def test_shipped_models_agree_too(name: str, tmp_path: Path) -> None:
    exported = export_onnx(name, tmp_path / "model.onnx")
    expected = load_model(name).generate(energy="10:100", n=16, seed=3).dense()
    found = load_model(exported, "onnx").generate(energy="10:100", n=16, seed=3).dense()
    above = (expected > 0) | (found > 0)
    assert above.sum() > 16 * 100
    assert np.abs(found[above] / expected[above] - 1.0).max() <= 1e-4


def test_the_graph_alone_gives_mev_and_the_threshold(exported: Path) -> None:
    """Plain ONNX Runtime on condition (MeV) and noise, nothing else."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(exported))
    inputs = {item.name: item.shape for item in session.get_inputs()}
    assert inputs["condition"][1:] == [1]
    assert inputs["noise"][1:] == [200]
    assert [item.name for item in session.get_outputs()] == ["energy"]
    noise = shower_noise(0, 0, 5, 200, "normal")
    condition = np.linspace(10e3, 100e3, 5, dtype=np.float32)[:, None]
    (energy,) = session.run(None, {"condition": condition, "noise": noise})
    assert energy.shape == (5, 15_625)
    assert energy.dtype == np.float32
    positive = energy[energy > 0]
    assert positive.min() >= 0.001
    assert energy.max() > 0.001


class _Subtle(torch.nn.Module):
    """What exporters round away: a factor near one, a term near zero, what differences leave."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = x.double()
        return torch.stack([wide / (1.0 - 2e-6), wide + 3e-9, 1.0 - 0.999995 - 1e-5 * wide], -1)


def test_no_number_of_a_graph_is_rounded() -> None:
    import onnxruntime

    x = torch.linspace(0.1, 1.0, 7)
    program = torch.onnx.export(
        _Subtle().eval(),
        (x,),
        dynamo=True,
        optimize=False,
        verbose=False,
        custom_translation_table=translations(),
    )
    assert program is not None
    tidy(program.model)
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    np.testing.assert_allclose(found, _Subtle()(x).numpy(), rtol=1e-14)


def test_metadata_is_inside_and_beside(model: Path, exported: Path) -> None:
    beside = json.loads(exported.with_suffix(".json").read_text())
    inside = OnnxEngine(exported).description
    assert beside == inside
    assert inside["kind"] == "3dgan"
    assert inside["cell_threshold_mev"] == 0.001
    assert inside["inputs"]["condition"] == ["energy [MeV]"]
    assert inside["provenance"]["step"] == "train"
    geometry = Calorimeter.from_yaml(inside["geometry"])
    assert geometry.hash == load_artifact(model).calorimeter.hash
    onnx.checker.check_model(str(exported))


def test_generate_with_either_engine_from_the_folder(model: Path, tmp_path: Path) -> None:
    incident = particles(4, 50)
    for name in ("torch", "onnx"):
        generate_to_store(open_engine(model, name), incident, tmp_path / f"{name}.h5", seed=1)
    a, b = (open_showers(tmp_path / f"{name}.h5").read() for name in ("torch", "onnx"))
    assert np.array_equal(a.cell, b.cell)
    assert np.allclose(a.energy, b.energy, rtol=1e-4)


def test_a_library_says_how_to_run_it(tmp_path: Path) -> None:
    data = write_showers(tmp_path / "a.h5", lcd_showers(4))
    library = train("library", data, tmp_path / "library")
    with pytest.raises(ModelError, match="run its folder with"):
        export_onnx(library, tmp_path / "library.onnx")
    assert not (tmp_path / "library.onnx").exists()


def test_a_graph_that_disagrees_is_not_written(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = OnnxEngine.run
    monkeypatch.setattr(
        OnnxEngine, "run", lambda self, c, n: original(self, c, n) * np.float32(1.001)
    )
    with pytest.raises(ModelError, match="differs from torch"):
        export_onnx(model, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder(model: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="mkdir"):
        export_onnx(model, tmp_path / "no" / "m.onnx")


def test_bad_files(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="caloforge export"):
        OnnxEngine(tmp_path / "none.onnx")
    truncated = tmp_path / "truncated.onnx"
    truncated.write_bytes(exported.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"truncated\.onnx"):
        OnnxEngine(truncated)
    foreign = onnx.load(str(exported))
    del foreign.metadata_props[:]
    onnx.save(foreign, str(tmp_path / "foreign.onnx"))
    with pytest.raises(ModelError, match="no Caloforge metadata"):
        OnnxEngine(tmp_path / "foreign.onnx")


RUNTIME = """
import sys
import numpy as np
from caloforge.runtime import OnnxEngine, shower_batches
from caloforge.showers import Incident
engine = OnnxEngine(sys.argv[1])
(batch,) = shower_batches(engine, Incident({"energy": [50e3, 60e3]}), seed=4)
print(repr(float(batch.total_energy.sum())))
heavy = {"torch", "lightning", "h5py", "caloforge.store", "caloforge.models", "caloforge.train"}
print(sorted(heavy & set(sys.modules)))
"""


def test_the_runtime_leaves_torch_and_the_store_out(exported: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUNTIME, str(exported)], capture_output=True, text=True, check=True
    )
    total, heavy = done.stdout.splitlines()
    assert heavy == "[]"
    expected = load_model(exported, "onnx").generate(energy=[50.0, 60.0], seed=4).total_energy.sum()
    assert float(total) == pytest.approx(expected, rel=1e-6)
