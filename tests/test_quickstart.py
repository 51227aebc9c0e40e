"""The main job on real showers, end to end, shortened to two training steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from caloforge.quickstart import ROWS, SHIPPED, quickstart, table
from caloforge.store import open_showers


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, object]:
    folder = tmp_path_factory.mktemp("quick") / "quickstart"
    said: list[str] = []
    outcome = quickstart(folder, say=said.append, steps=2)
    return folder, table(outcome), outcome


def test_everything_is_there(result: tuple[Path, str, object]) -> None:
    folder, text, _ = result
    for name in ("3dgan", "library"):
        assert (folder / f"report-{name}" / "index.html").exists()
        assert len(open_showers(folder / f"{name}.h5")) == 500
        assert (folder / name / "artifact.json").exists()
        assert name in text
    assert (folder / "3dgan.onnx").exists()
    for label, _ in ROWS:
        assert label in text
    assert "Geant4" in text


def test_the_library_is_faithful_and_caught_copying(result: tuple[Path, str, object]) -> None:
    outcome = result[2]
    metrics = outcome.metrics  # type: ignore[attr-defined]
    library, gan = metrics["library"], metrics["3dgan"]
    # the baseline is near the floor in total energy, and the memorisation check catches it
    floor = library["floor"]["separation"]["etot_over_einc"]
    assert library["separation"]["etot_over_einc"] < 3 * floor
    assert library["memorisation"]["p_value"] < 1e-6
    assert gan["memorisation"]["p_value"] > 1e-3
    assert gan["auc"]["high"]["mean"] > library["auc"]["high"]["mean"] - 0.05
    for one in (library, gan):
        assert one["reference"]["n"] == one["generated"]["n"] == 500
        assert one["generation_ms"] > 0


def test_the_shipped_model_is_nearer_than_3dgan(result: tuple[Path, str, object]) -> None:
    metrics = result[2].metrics  # type: ignore[attr-defined]
    shipped, gan = metrics[SHIPPED], metrics["3dgan"]
    for key in ("etot_over_einc", "layer_energy", "cell_energy", "hits"):
        floor = shipped["floor"]["separation"][key]  # 500 showers cannot come nearer
        excess = shipped["separation"][key] - floor
        assert excess < 0.25 * (gan["separation"][key] - floor)
    assert (
        shipped["separation"]["layer_energy"] < 2 * shipped["floor"]["separation"]["layer_energy"]
    )
    assert shipped["auc"]["high"]["mean"] < 0.7 < gan["auc"]["high"]["mean"]
    assert shipped["memorisation"]["p_value"] > 0.01


def test_generation_is_timed_against_geant4(result: tuple[Path, str, object]) -> None:
    timings = result[2].timings  # type: ignore[attr-defined]
    geant4 = timings[0]
    assert geant4.ms == pytest.approx(444, abs=5)  # recorded with the showers
    exported = {"onnx", "openvino"}  # whichever is faster here
    engines = {row.engine for row in timings[1:]}
    assert engines - exported == {"torch", "compact"}
    assert engines & exported
    assert all(row.speedup == pytest.approx(geant4.ms / row.ms) for row in timings[1:])
