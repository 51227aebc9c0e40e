"""Every target on the same small models: it loads alone, and makes torch's showers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from caloforge.api import export, load_model, train
from caloforge.artifact import Artifact, load_artifact
from caloforge.errors import ConfigError, ModelError
from caloforge.export import ExportOptions, export_model, export_onnx
from caloforge.export import onnx as native
from caloforge.export import quantised as smaller
from caloforge.export.example import example
from caloforge.export.fidelity import Fidelity
from caloforge.export.parity import largest_difference, require_parity, require_same
from caloforge.export.program import onnx_program
from caloforge.export.targets import TARGETS
from caloforge.runtime import OnnxEngine
from caloforge.store import write_showers
from helpers import random_showers, small_calorimeter


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dense autoencoder after a few steps."""
    folder = tmp_path_factory.mktemp("targets")
    data = write_showers(folder / "train.h5", random_showers(64))
    overrides = ["training.batch_size=16", "training.max_steps=8", "detector=null"]
    return train("vae", data, folder / "model", overrides=overrides)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reference") / "reference.h5"
    return write_showers(path, random_showers(200, seed=5))


def torch_showers(artifact: Artifact, n: int = 6) -> tuple[Any, Any, np.ndarray]:
    condition, noise = example(artifact.model, n)
    with torch.inference_mode():
        return condition, noise, artifact.model(condition, noise).numpy()


def test_torchscript_runs_without_caloforge(vae: Path, tmp_path: Path) -> None:
    artifact = load_artifact(vae)
    path = export(vae, tmp_path / "m.pt", target="torchscript")
    extra = {"caloforge.json": ""}
    module = torch.jit.load(str(path), _extra_files=extra)
    condition, noise, expected = torch_showers(artifact)
    np.testing.assert_allclose(module(condition, noise).numpy(), expected, rtol=1e-4)
    inside = json.loads(extra["caloforge.json"])
    assert inside == json.loads(path.with_suffix(".json").read_text())
    assert inside["kind"] == "vae"


def test_openvino_agrees_cell_by_cell(vae: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    from caloforge.runtime import OpenVinoEngine

    artifact = load_artifact(vae)
    path = export(vae, tmp_path / "m.xml", target="openvino")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.bin", "m.json", "m.xml"]
    engine = OpenVinoEngine(path, threads=1)
    condition, noise, expected = torch_showers(artifact)
    found = engine.run(condition.numpy(), noise.numpy())
    assert largest_difference(found, expected, artifact.calorimeter.cell_threshold) < 1e-3
    assert engine.calorimeter.hash == artifact.calorimeter.hash
    assert engine.description["kind"] == "vae"
    with pytest.raises(ModelError, match=r"m\.xml: OpenVINO cannot run it"):
        engine.run(condition.numpy(), noise.numpy()[:, :-1])
    with pytest.raises(ModelError, match="no such file"):
        OpenVinoEngine(tmp_path / "none.xml")
    (tmp_path / "bad.xml").write_text("<net")
    with pytest.raises(ModelError, match=r"bad\.xml: not a usable"):
        OpenVinoEngine(tmp_path / "bad.xml")


def test_what_onnx_runtime_cannot_run_is_said(vae: Path, tmp_path: Path) -> None:
    engine = OnnxEngine(export(vae, tmp_path / "m.onnx"))
    condition, noise, _ = torch_showers(load_artifact(vae))
    with pytest.raises(ModelError, match=r"m\.onnx: ONNX Runtime cannot run it"):
        engine.run(condition.numpy(), noise.numpy()[:, :-1])


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_smaller_weights_are_judged_by_their_showers(
    precision: Any, vae: Path, reference: Path, tmp_path: Path
) -> None:
    full = export_onnx(vae, tmp_path / "full.onnx", "float32")
    path = export_onnx(vae, tmp_path / "m.onnx", precision, reference=reference, max_loss=0.5)
    said = OnnxEngine(path).description
    assert said["precision"] == precision
    assert said["fidelity"]["showers"] == 200
    assert said["fidelity"]["loss"] <= 0.5
    assert said == json.loads(path.with_suffix(".json").read_text())
    onnx.checker.check_model(str(path))
    weights = [
        sum(len(w.raw_data) for w in onnx.load(str(p)).graph.initializer) for p in (path, full)
    ]
    assert weights[0] < 0.75 * weights[1]
    opened = [load_model(p, "onnx") for p in (path, full)]
    a, b = (m.generate(energy="10:100", n=50, seed=1).total_energy for m in opened)
    assert not np.array_equal(a, b)
    np.testing.assert_allclose(a.mean(), b.mean(), rtol=0.02)


def test_a_graph_that_loses_too_much_is_not_written(
    vae: Path, reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "measure", lambda *_: Fidelity("0", 200, 0.02, 0.0221))
    with pytest.raises(ModelError, match=r"grows from 0\.02 to 0\.0221, by 10\.5 %.*--max-loss"):
        export_onnx(vae, tmp_path / "m.onnx", "int8", reference=reference)
    assert list(tmp_path.iterdir()) == []


def test_smaller_weights_need_a_reference(vae: Path, reference: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--reference FILE"):
        export_onnx(vae, tmp_path / "m.onnx", "int8")
    other = write_showers(tmp_path / "o.h5", random_showers(5, small_calorimeter("other", n=3)))
    with pytest.raises(Exception, match="calorimeter 'other'"):
        export_onnx(vae, tmp_path / "m.onnx", "int8", reference=other)
    with pytest.raises(ConfigError, match="--precision int4"):
        export(vae, tmp_path / "m.onnx", precision="int4")  # type: ignore[arg-type]
    assert not (tmp_path / "m.onnx").exists()


def test_bfloat16_rounds_to_nearest() -> None:
    numbers = np.random.default_rng(0).normal(size=(16, 32)).astype(np.float32)
    (stored,), _ = smaller._bf16_nodes("w", numbers)
    expected = torch.from_numpy(numbers).bfloat16().view(torch.int16).numpy()
    assert np.array_equal(np.frombuffer(stored.raw_data, np.int16).reshape(16, 32), expected)


def test_int8_weights_lie_within_half_a_level() -> None:
    numbers = np.random.default_rng(0).normal(size=(4, 3, 5, 5)).astype(np.float32)
    (small, scale), _ = smaller._int8_nodes("w", numbers)
    levels, sizes = (onnx.numpy_helper.to_array(part) for part in (small, scale))
    back = levels * sizes[:, None, None, None]
    assert (np.abs(back - numbers) <= 0.5001 * sizes[:, None, None, None]).all()


class Twice(torch.nn.Module):
    """A square layer after itself, its weights as they are or made in the graph."""

    def __init__(self, made: bool) -> None:
        super().__init__()
        self.layer, self.made = torch.nn.Linear(32, 32), made
        self.mask = torch.nn.Parameter(torch.tril(torch.ones(32, 32)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 32) -> (B, 32)."""
        weight = self.layer.weight * self.mask if self.made else self.layer.weight
        inner = torch.nn.functional.linear(x, weight, self.layer.bias)
        return torch.nn.functional.linear(inner.relu() + x, weight, self.layer.bias)


@pytest.mark.parametrize("made", [False, True])
def test_int8_of_weights_that_are_used_twice(made: bool, tmp_path: Path) -> None:
    module, x = Twice(made).eval(), torch.randn(50, 32)
    graph = onnx_program(module, (x[:2],), ("x",), "y", any_batch=True)
    small = smaller.quantised(graph, "int8", tmp_path)
    session = onnxruntime.InferenceSession(small.SerializeToString())
    found, expected = session.run(None, {"x": x.numpy()})[0], module(x).detach().numpy()
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()
    assert np.abs(found - expected).max() > 0


def test_the_loss_is_the_growth_of_the_separation() -> None:
    found = Fidelity("0", 10, 0.02, 0.025)
    assert found.loss == pytest.approx(0.25)


def test_nan_is_a_difference() -> None:
    found = largest_difference(np.array([np.nan, 1.0]), np.array([1.0, 1.0]), 0.1)
    with pytest.raises(ModelError, match="differs from torch"):
        require_parity(found, 1e-4, "the graph")


class Counts(torch.nn.Module):
    """How many of each row's numbers are below its own, less one: a search in a sorted table."""

    def forward(self, numbers: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        """(B, n, m) and (B, n) -> (B, n)."""
        return ((numbers < own[..., None]).sum(-1) - 1).float()


@pytest.mark.parametrize("n", [25, 26, 64])
def test_openvino_counts_in_any_batch(n: int) -> None:
    openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")
    numbers, own = torch.rand(n, 25, 9), torch.rand(n, 25)
    names = ("numbers", "own")
    graph = onnx_program(Counts(), (numbers[:2], own[:2]), names, "count", any_batch=True)
    read = openvino.Core().read_model(graph.SerializeToString())
    model = openvino.compile_model(read, "CPU")
    found = model({"numbers": numbers.numpy(), "own": own.numpy()})["count"]
    assert (found == Counts()(numbers, own).numpy()).all()


@pytest.mark.parametrize("wrong", [0, 2, 63])
def test_a_file_must_agree_in_large_batches(vae: Path, wrong: int) -> None:
    """Wrong from one shower on; with three showers the last one does not show."""
    model = load_artifact(vae).model

    def run(condition: Any, noise: Any) -> Any:
        with torch.inference_mode():
            made = model(torch.from_numpy(condition), torch.from_numpy(noise)).numpy()
        made[wrong:] *= 1.1
        return made

    said = "differs from torch by" if wrong < 3 else "3 showers but not for 64 at a time: "
    with pytest.raises(ModelError, match=f"the file .*{said}"):
        require_same(run, model, 0.0, 1e-4, "the file")


def test_every_target_names_its_files(vae: Path, tmp_path: Path) -> None:
    """What the command says was written is there."""
    for name in ("onnx", "torchscript", "openvino"):
        if name == "openvino":
            pytest.importorskip("openvino", reason="OpenVINO is not installed")
        suffix = {"onnx": ".onnx", "torchscript": ".pt", "openvino": ".xml"}[name]
        folder = tmp_path / name
        folder.mkdir()
        path = export_model(load_artifact(vae), folder / f"m{suffix}", name, ExportOptions())
        beside = {path.with_suffix(ending).name for ending in TARGETS[name].beside}
        assert {p.name for p in folder.iterdir()} == {path.name} | beside
