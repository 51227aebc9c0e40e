"""The fastest engine for a file: measured once, remembered, measured again when it must be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caloforge.errors import ModelError
from caloforge.geometry import Calorimeter
from caloforge.runtime import choose, fastest


class Timed:
    """An engine that says how long it takes; a negative time: it cannot run the file.

    Showers of a batch are wrong from number ``right`` on.
    """

    def __init__(self, name: str, seconds: float, calorimeter: Calorimeter) -> None:
        self.name, self.seconds, self.calorimeter = name, seconds, calorimeter
        self.description: dict[str, Any] = {
            "condition": ["energy", "theta", "pdg", "x"],
            "particles": [22],
            "latent": {"size": 3, "distribution": "normal"},
        }
        self.inputs: dict[str, str] = {}
        self.right = 1000

    def run(self, condition: Any, noise: Any) -> Any:
        if self.seconds < 0:
            raise RuntimeError("no such operator")
        made = np.ones((len(condition), self.calorimeter.n_cells), np.float32)
        made[self.right :] = 2.0
        return made


class Machine:
    """Engines that are installed, by their times, and which of them were measured."""

    def __init__(self, calorimeter: Calorimeter, **seconds: float) -> None:
        self.calorimeter, self.seconds = calorimeter, seconds
        self.measured: list[str] = []
        self.right: dict[str, int] = {}
        self._time_of = choose.time_of

    def factories(self) -> dict[str, Any]:
        made = {name: self._factory(name) for name in self.seconds}
        return dict(made)

    def _factory(self, name: str) -> Any:
        def make(path: Path, threads: int) -> Timed:
            engine = Timed(name, self.seconds[name], self.calorimeter)
            engine.right = self.right.get(name, engine.right)
            return engine

        return make

    def time_of(self, engine: Any, batch_size: int) -> float:
        self._time_of(engine, batch_size)  # fails where the engine does
        self.measured.append(engine.name)
        return float(engine.seconds)


@pytest.fixture
def machine(small: Calorimeter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    made = Machine(small, onnx=2.0, openvino=1.0)
    monkeypatch.setenv(choose.CACHE, str(tmp_path / "cache"))
    monkeypatch.setattr(choose, "factories", made.factories)
    monkeypatch.setattr(choose, "time_of", made.time_of)
    monkeypatch.setattr(choose, "version", lambda name: "1.0")
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"graph")
    return path


def test_the_fastest_is_measured_once(machine: Machine, file: Path) -> None:
    assert fastest(file).name == "openvino"
    assert machine.measured == ["onnx", "openvino"]
    machine.seconds["openvino"] = 3.0
    assert fastest(file).name == "openvino"  # remembered
    assert len(machine.measured) == 2


def test_another_file_batch_or_software_is_measured_again(
    machine: Machine, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fastest(file)
    machine.seconds["openvino"] = 3.0
    assert fastest(file, 1).name == "onnx"
    assert fastest(file, threads=1).name == "onnx"
    file.write_bytes(b"another")
    assert fastest(file).name == "onnx"
    file.write_bytes(b"graph")
    assert fastest(file).name == "openvino"
    monkeypatch.setattr(choose, "version", lambda name: "2.0")
    assert fastest(file).name == "onnx"


def test_an_engine_that_cannot_run_the_file_is_left_out(machine: Machine, file: Path) -> None:
    machine.seconds["openvino"] = -1.0
    assert fastest(file).name == "onnx"
    machine.seconds["onnx"] = -1.0
    file.write_bytes(b"another")
    with pytest.raises(ModelError, match=r"'onnx' cannot run this model \(no such operator\)"):
        fastest(file)


def test_an_engine_that_makes_other_showers_is_left_out(machine: Machine, file: Path) -> None:
    machine.right["openvino"] = 63
    assert fastest(file).name == "onnx"
    machine.right["openvino"] = 64
    assert fastest(file).name == "onnx"  # remembered
    file.write_bytes(b"another")
    assert fastest(file).name == "openvino"


def test_without_a_home_it_is_measured_again(
    machine: Machine, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv(choose.CACHE)
    monkeypatch.setattr(Path, "home", nowhere)
    assert [fastest(file).name for _ in range(2)] == ["openvino", "openvino"]
    assert len(machine.measured) == 4


def test_a_damaged_memory_is_measured_again(machine: Machine, file: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    for text in ("{", "[]"):
        (tmp_path / "cache" / choose.FILE).write_text(text)
        assert fastest(file).name == "openvino"
    assert len(machine.measured) == 4


def test_one_engine_needs_no_measurement(machine: Machine, file: Path) -> None:
    del machine.seconds["openvino"]
    assert fastest(file).name == "onnx"
    assert machine.measured == []


def test_a_missing_file(machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="caloforge export"):
        fastest(tmp_path / "none.onnx")


def test_typical_conditions(small: Calorimeter) -> None:
    rows = choose.typical_condition(Timed("onnx", 1.0, small), 2)
    np.testing.assert_allclose(rows, [[50e3, np.pi / 2, 22.0, 0.0]] * 2, rtol=1e-6)
