"""``validate`` as a whole: schema, floor, degenerate samples, the page, real showers."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from plotly.offline import get_plotlyjs

from caloforge.atomic import atomic_folder
from caloforge.errors import FormatError, GeometryError, OutputError, ShowerError
from caloforge.geometry import Calorimeter, CartesianGrid, CylindricalGrid, Layer, load_detector
from caloforge.showers import Incident, Provenance, Showers
from caloforge.store import write_showers
from caloforge.validate import Report, api, summarise, validate
from caloforge.validate.api import _from_geant4
from caloforge.validate.comparison import plain_label
from caloforge.validate.report import figures
from caloforge.validate.report.judges import LARGE, NEAR, UNKNOWN
from caloforge.validate.report.notes import LABELS, OUTSIDE_LABEL, plain_notes
from caloforge.validate.report.verdict import headline, verdict

REAL = Path(__file__).resolve().parents[2] / "shared/data/lcd_electrons_fixed_test.h5"
KEYS = {
    "separation",
    "separation_by_layer",
    "separation_out_of_range",
    "auc",
    "response",
    "response_error",
    "profiles",
    "correlation_difference",
    "cells",
    "memorisation",
    "diversity",
    "distributions",
    "energy_separation",
    "errors",
    "fpd",
    "kpd",
    "modes",
    "notes",
    "prdc",
    "response_fit",
    "scan",
    "scan_pull",
    "ssim",
    "tails",
    "threedgan",
    "transfer",
}
TOP = KEYS | {
    "name",
    "requirements",
    "schema",
    "caloforge",
    "geometry",
    "settings",
    "reference",
    "generated",
    "floor",
    "generation_ms",
}


def calorimeter(kind: str = "small") -> Calorimeter:
    if kind == "cylinder":
        grid: Any = CylindricalGrid(r_edges=(0.0, 5.0, 10.0, 20.0), n_phi=6)
    else:
        grid = CartesianGrid(nx=7, ny=7, dx=5.0, dy=5.0)
    layers = tuple(Layer(z=10.0 * k, thickness=10.0, segmentation=grid) for k in range(5))
    return Calorimeter(name=kind, cell_threshold=0.01, layers=layers)


def toy(n: int, seed: int, kind: str = "small", energy: float | None = None) -> Showers:
    rng = np.random.default_rng(seed)
    geometry = calorimeter(kind)
    x, y, z = geometry.cell_positions.T
    incident = rng.uniform(1e4, 1e5, n) if energy is None else np.full(n, energy)
    start = rng.normal(20.0, 4.0, n)[:, None]
    shape = np.exp(-(x**2 + y**2) / 72) * np.exp(-((z - start) ** 2) / 200)
    dense = rng.gamma(0.3 + 0 * shape) * shape * incident[:, None] * 1e-3
    provenance = Provenance(
        step="simulate",
        geometry=geometry.hash,
        source={"generator": "Geant4 11", "seconds_per_shower": 0.25, "generation_ms": 3.5},
    )
    return Showers.from_dense(geometry, Incident({"energy": incident}), dense, provenance)


def empty(n: int) -> Showers:
    geometry = calorimeter()
    return Showers.from_dense(
        geometry, Incident({"energy": np.full(n, 1e4)}), np.zeros((n, geometry.n_cells))
    )


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        for item in value.values():
            yield from numbers(item)
    elif isinstance(value, list):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, float):
        yield value


def bare_page(folder: Path) -> str:
    """The page without Plotly, whose addresses are of licences and name spaces."""
    page = (folder / "index.html").read_text()
    assert page.count(get_plotlyjs()) == 1
    return page.replace(get_plotlyjs(), "")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("validate")
    reference = write_showers(folder / "ref.h5", toy(80, 0))
    generated = write_showers(folder / "gen.h5", toy(70, 1))
    return validate(
        reference, generated, folder / "out", training=toy(90, 2), name="toy", quick=True
    )


def test_metrics_have_the_schema(report: Report) -> None:
    metrics = report.metrics
    assert set(metrics) == TOP
    assert set(metrics["floor"]) == KEYS
    assert metrics["schema"] == 1
    assert metrics["reference"]["n"] == 80
    assert metrics["generated"]["n"] == 70
    assert metrics["generated"]["empty"] == 0
    assert metrics["generated"]["file"].endswith("gen.h5")
    assert metrics["reference"]["seconds_per_shower"] == 0.25
    assert metrics["generation_ms"] == 3.5
    assert set(metrics["auc"]) == {"high", "high_trees", "low", "low_normed"}
    keys = {"mean", "std", "error", "calibrated", "jsd", "showers", "seeds"}
    assert all(set(v) == keys for v in metrics["auc"].values())
    assert metrics["auc"]["low"]["seeds"] == metrics["settings"]["classifier_seeds"] == 2
    assert set(metrics["profiles"]) == {"longitudinal", "radius", "x", "y"}
    assert len(metrics["response"]) == 10
    assert metrics["separation"].keys() == metrics["separation_out_of_range"].keys()
    for key, values in metrics["separation_by_layer"].items():
        known = [v for v in values if v is not None]
        assert metrics["separation"][key] == pytest.approx(np.mean(known))


def test_floor_has_a_value_for_every_figure(report: Report) -> None:
    floor = report.metrics["floor"]
    assert all(value is not None for value in floor["separation"].values())
    assert all(0.0 <= value["mean"] <= 1.0 for value in floor["auc"].values())
    assert 0.0 <= floor["memorisation"]["p_value"] <= 1.0
    assert floor["diversity"]["ratio"] == pytest.approx(1.0, abs=0.2)
    assert floor["correlation_difference"] > 0
    assert floor["cells"]["mean_rel_error"] > 0
    assert all(floor["profiles"][key]["mean_rel_error"] > 0 for key in floor["profiles"])


def test_the_file_is_the_result_and_holds_no_nan(report: Report) -> None:
    assert report.path is not None
    text = (report.path / "metrics.json").read_text()
    assert json.loads(text) == report.metrics
    assert "NaN" not in text
    assert "Infinity" not in text
    values = list(numbers(report.metrics))
    assert len(values) > 200
    assert all(math.isfinite(value) for value in values)


def test_the_page_needs_nothing_but_itself(report: Report) -> None:
    assert report.path is not None
    page = bare_page(report.path)
    text = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", page)
    assert re.search(r"url\(|@import|<script src|<link|<iframe", text) is None
    assert re.findall(r"""(?:src|href)\s*=\s*["'](?!data:)""", page) == []
    assert "http://" not in text
    assert "https://" not in text
    names = sorted(path.stem for path in (report.path / "figures").glob("*.png"))
    assert page.count('src="data:image/png;base64,') == len(names) == 14
    assert names == sorted(path.stem for path in (report.path / "figures").glob("*.pdf"))
    assert "neighbours" in names
    assert "toy against Geant4" in page
    assert "near the floor" in page
    assert page.index("Verdict") < page.index("<figure>") < page.index("<details>")


def test_verdict_covers_all_figures(report: Report) -> None:
    rows = verdict(report.metrics)
    labels = [(row.group, row.label) for row in rows]
    assert len(set(labels)) == len(labels) == 45
    unknown = {row.name for row in rows if row.state == UNKNOWN}
    few = {"fpd", "modes.ndb_p_value", "modes.jsd_p_value", "tails.smallest_p_holm"}
    assert unknown <= few, "these need more showers"
    near = sum(row.state == NEAR for row in rows)
    judged = len(rows) - len(unknown)
    assert near >= 0.7 * judged, "two samples of one generator should lie near the floor"
    said = headline(report.metrics, rows)
    assert said.startswith(f"{near} of {judged} figures lie near the floor")


def test_verdict_calls_a_bad_sample_bad() -> None:
    reference, bad = toy(60, 0), toy(60, 1)
    bad = Showers(bad.calorimeter, bad.incident, bad.offset, bad.cell, bad.energy * 3)
    rows = {row.label: row for row in verdict(validate(reference, bad, quick=True).metrics)}
    assert rows["boosted trees, high-level features"].state == LARGE
    assert rows["response against energy"].state == LARGE
    assert rows["p value, independent of training"].state == UNKNOWN


def test_the_same_seed_gives_the_same_figures() -> None:
    first = validate(toy(40, 0), toy(40, 1), quick=True, seed=3).metrics
    assert first == validate(toy(40, 0), toy(40, 1), quick=True, seed=3).metrics
    other = validate(toy(40, 0), toy(40, 1), quick=True, seed=4).metrics
    assert first["separation"] == other["separation"]
    assert first["floor"]["separation"] != other["floor"]["separation"]


def test_progress_names_the_stages() -> None:
    stages: list[str] = []
    validate(toy(20, 0), toy(20, 1), quick=True, progress=stages.append)
    assert stages[0] == "reading the reference"
    assert "floor: classifier tests" in stages
    assert len(stages) == len(set(stages))


@pytest.mark.parametrize(
    ("reference", "generated"),
    [
        pytest.param(toy(2, 0), toy(2, 1), id="two-showers"),
        pytest.param(toy(1, 0), toy(1, 1), id="one-shower"),
        pytest.param(toy(5, 0), empty(5), id="generated-empty"),
        pytest.param(empty(5), toy(5, 0), id="reference-empty"),
        pytest.param(empty(4), empty(4), id="both-empty"),
        pytest.param(toy(30, 0, energy=5e4), toy(30, 1, energy=5e4), id="one-energy"),
        pytest.param(toy(6, 0, "cylinder"), toy(6, 1, "cylinder"), id="cylinder"),
    ],
)
def test_odd_samples_give_a_report_without_nan(
    reference: Showers,
    generated: Showers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.setattr(figures, "SUFFIXES", (".png",))
    if request.node.callspec.id not in ("both-empty", "cylinder"):  # drawn by all, rendered by two
        monkeypatch.setattr(Figure, "savefig", lambda _, path: path.write_bytes(b"PNG"))
    report = validate(reference, generated, tmp_path / "out", training=reference, quick=True)
    text = (tmp_path / "out" / "metrics.json").read_text()
    metrics = json.loads(text)
    assert all(math.isfinite(value) for value in numbers(metrics))
    assert metrics["reference"]["empty"] + metrics["generated"]["empty"] == (
        np.sum(reference.hits_per_shower == 0) + np.sum(generated.hits_per_shower == 0)
    )
    notes = metrics["notes"]
    for key, value in metrics["separation"].items():
        assert (value is None) == (f"separation.{key}" in notes), key
    for kind, value in metrics["auc"].items():
        assert (value["mean"] is None) == (f"auc.{kind}" in notes), kind
    assert (metrics["floor"] is None) == ("floor" in notes) == (len(reference) < 4)
    assert report.path == tmp_path / "out"
    page = bare_page(tmp_path / "out")
    assert page.count('src="data:image/png;base64,') == 13 + bool(
        reference.n_hits and generated.n_hits
    )


def test_one_energy_makes_one_bin() -> None:
    metrics = validate(toy(30, 0, energy=5e4), toy(30, 1, energy=5e4), quick=True).metrics
    assert len(metrics["response"]) == 1
    assert metrics["response"][0]["reference"]["mean_energy"] == 5e4
    assert "spectra" not in metrics["notes"]


def test_cylinder_has_radial_figures() -> None:
    metrics = validate(toy(12, 0, "cylinder"), toy(12, 1, "cylinder"), quick=True).metrics
    assert metrics["separation"]["centre_r"] is not None
    assert metrics["separation"]["width_r"] is not None


def test_a_sample_against_itself_has_separation_zero() -> None:
    sample = toy(40, 0)
    metrics = validate(sample, sample, quick=True).metrics
    assert all(v == pytest.approx(0, abs=1e-12) for v in metrics["separation"].values())
    assert all(row["mean_rel_error"] == pytest.approx(0) for row in metrics["response"])


def test_a_reference_that_was_trained_on_is_not_tested_for_copies() -> None:
    sample = toy(40, 0)
    metrics = validate(sample, toy(40, 1), training=sample, quick=True).metrics
    assert metrics["memorisation"]["p_value"] is None
    assert "has not seen" in metrics["notes"]["memorisation"]


def test_different_spectra_are_noted() -> None:
    metrics = validate(toy(60, 0), toy(60, 1, energy=2e4), quick=True).metrics
    assert "mix physics with conditions" in metrics["notes"]["spectra"]
    assert "spectra" not in validate(toy(60, 0), toy(60, 1), quick=True).metrics["notes"]


def test_errors_name_what_is_wrong(tmp_path: Path) -> None:
    sample = toy(5, 0)
    none = sample[np.zeros(0, dtype=int)]
    with pytest.raises(ShowerError, match="generated: holds no showers; give"):
        validate(sample, none)
    with pytest.raises(GeometryError, match="cylinder"):
        validate(sample, toy(5, 0, "cylinder"))
    with pytest.raises(GeometryError, match="training"):
        validate(sample, sample, training=toy(5, 0, "cylinder"))
    with pytest.raises(FormatError, match="no such file"):
        validate(sample, tmp_path / "missing.h5")
    with pytest.raises(OutputError, match="mkdir"):
        validate(sample, sample, tmp_path / "no" / "out")


def test_an_older_report_is_replaced_and_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "TOGETHER", ())
    monkeypatch.setattr(figures, "APART", ())
    out = tmp_path / "out"
    (out / "figures").mkdir(parents=True)
    for name in ("index.html", "figures/stale.png"):
        (out / name).write_text("old")
    validate(toy(4, 0), toy(4, 1), out, quick=True)
    names = sorted(path.name for path in out.iterdir())
    assert names == ["figures", "index.html", "metrics.json", "metrics.tex"]
    assert list((out / "figures").iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_foreign_files_are_never_touched(tmp_path: Path) -> None:
    stages: list[str] = []
    reference = write_showers(tmp_path / "geant4.h5", toy(4, 0))
    generated = write_showers(tmp_path / "gen.h5", toy(4, 1))
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(OutputError, match=r"other files \(geant4.h5, gen.h5\); give a new folder"):
        validate(reference, generated, tmp_path, progress=stages.append)
    (tmp_path / "plots" / "figures").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"holds other files \(figures\); give a new folder"):
        validate(reference, generated, tmp_path / "plots", progress=stages.append)
    with pytest.raises(OutputError, match="is a file; give a folder name"):
        validate(reference, generated, generated, progress=stages.append)
    assert stages == [], "refused before any work"
    names = ["geant4.h5", "gen.h5", "index.html", "plots"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_files_that_appear_during_the_work_stay(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(OutputError, match="holds other files"), atomic_folder(out, replaces={"a"}):
        (out / "b").write_text("new")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "b"]


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    for text in ("first", "second"):
        with atomic_folder(tmp_path / "link", replaces={"a"}) as folder:
            (folder / "a").write_text(text)
    assert (tmp_path / "real" / "a").read_text() == "second"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]
    assert (tmp_path / "link").is_symlink()


def test_the_old_folder_comes_back_when_the_new_one_cannot_be_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a").write_text("old")
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.suffix == ".partial":
            raise PermissionError(1, "no")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with (
        pytest.raises(OutputError, match="cannot write"),
        atomic_folder(out, replaces={"a"}) as folder,
    ):
        (folder / "a").write_text("new")
    assert (out / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_reference_is_called_what_it_is() -> None:
    geant4 = {"step": "read", "source": {"generator": "Geant4 11"}, "parents": ()}
    model = {"step": "train", "source": {}, "parents": [geant4]}
    surrogate = {"step": "generate", "source": {"generation_ms": 1.0}, "parents": [model]}
    assert _from_geant4({"step": "convert", "source": {}, "parents": [geant4]})
    assert not _from_geant4(surrogate)
    assert not _from_geant4({"step": "convert", "parents": [surrogate]})
    assert not _from_geant4({"step": "memory", "file": "geant4.h5", "inputs": {"geant4.h5": "0"}})


def test_any_name_can_be_drawn_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "TOGETHER", (figures.etot,))
    monkeypatch.setattr(figures, "APART", (figures.events,))
    sample = toy(12, 0)
    sample.provenance = replace(sample.provenance, inputs={"gen_\udcff.h5": "0"})
    for number, name in enumerate((r"cost $5_{ and $6", r"a\$b$ $\frac{", "gen_\udcff")):
        report = validate(sample, sample, tmp_path / str(number), name=name, quick=True)
        assert report.path is not None
        page = (report.path / "index.html").read_text(encoding="utf-8")
        assert name.replace("\udcff", r"\udcff") in page
        assert r"gen_\udcff.h5" in page
    drawn = Text(text=plain_label(r"cost $5_{ and $6"))
    assert drawn._preprocess_math(drawn.get_text()) == (r"cost $5_{ and $6", False)  # type: ignore[attr-defined]


def test_notes_are_in_plain_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "TOGETHER", ())
    monkeypatch.setattr(figures, "APART", ())
    far = toy(30, 1)
    far = Showers(far.calorimeter, far.incident, far.offset, far.cell, far.energy * 9)
    report = validate(toy(30, 0), far, tmp_path / "out", quick=True)
    notes = report.metrics["notes"]
    assert sum(key.startswith("separation_out_of_range.") for key in notes) > 1
    lines = plain_notes(report.metrics)
    assert ("Memorisation", "no training sample given") in lines
    labels, texts = zip(*lines, strict=True)
    assert labels.count(OUTSIDE_LABEL) == 1
    assert "100 % of the response Etot/Einc, " in texts[labels.index(OUTSIDE_LABEL)]
    page = (tmp_path / "out" / "index.html").read_text()
    page = page[: page.index("Where this comes from")]
    assert OUTSIDE_LABEL in page
    assert not [key for key in notes if "." in key and key in page]


def test_every_note_has_a_label() -> None:
    pairs = [(toy(2, 0), toy(2, 1)), (empty(5), toy(5, 0)), (toy(5, 0), empty(5))]
    pairs += [(empty(4), empty(4)), (toy(9, 0, "cylinder"), toy(9, 1, "cylinder", 2e4))]
    for reference, generated in pairs:
        metrics = validate(reference, generated, quick=True).metrics
        keys = set(metrics["notes"]) | set((metrics["floor"] or {"notes": {}})["notes"])
        assert {k for k in keys if not k.startswith("separation_out_of_range.")} <= set(LABELS)


def test_the_floor_of_a_large_sample_has_whole_showers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "summarise", partial(summarise, keep=60))
    metrics = validate(toy(120, 0), toy(120, 1), training=toy(50, 2), quick=True).metrics
    floor = metrics["floor"]
    assert floor["auc"]["low"]["showers"] == 30
    assert floor["auc"]["low"]["mean"] is not None
    assert floor["memorisation"]["p_value"] is not None
    assert floor["diversity"]["ratio"] is not None
    assert metrics["auc"]["low"]["showers"] == 60


def test_public_names_exist_and_are_documented() -> None:
    package = import_module("caloforge.validate")
    assert package.__all__ == sorted(package.__all__)
    for name in package.__all__:
        assert getattr(package, name).__doc__, name


def test_importing_is_cheap() -> None:
    code = (
        "import sys, caloforge.validate; "
        "print([m for m in ('sklearn', 'scipy.stats', 'matplotlib', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_real_showers() -> None:
    if not REAL.exists():
        pytest.skip(f"the real showers are not here ({REAL.name})")
    geometry = load_detector("lcd-ecal-25")
    with h5py.File(REAL) as file:
        images, target = file["ECAL"][:200], file["target"][:200]
    dense = images.transpose(0, 3, 1, 2).reshape(200, -1) * 1000
    showers = Showers.from_dense(geometry, Incident({"energy": target[:, 1] * 1000}), dense)
    metrics = validate(showers[:100], showers[100:], quick=True).metrics
    responses = [row["reference"]["mean"] for row in metrics["response"]]
    assert all(0.018 < value < 0.024 for value in responses), "a sampling fraction of 2 %"
    assert responses[0] > responses[-1], "it falls with the energy"
    assert metrics["correlation_difference"] < 0.15
    assert metrics["separation"]["cell_energy"] < 0.01
    assert metrics["auc"]["low"]["mean"] == pytest.approx(0.5, abs=0.3)
    assert metrics["diversity"]["ratio"] == pytest.approx(1.0, abs=0.1)
