"""``predict``: figures worked out by hand, the table, the report, damaged inputs, the chain."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

import caloforge
from caloforge.api import train
from caloforge.cli.entry import run
from caloforge.errors import ConfigError, GeometryError, ModelError, OutputError, ShowerError
from caloforge.models import Predicted
from caloforge.predict import load_predictor, predict
from caloforge.predict.classification import area_error, classification
from caloforge.predict.metrics import figures
from caloforge.predict.regression import angle_figures, energy_figures
from caloforge.predict.report.figures import opening_angle
from caloforge.predict.report.html import groups, headline
from caloforge.predict.table import Part, Table, join
from caloforge.showers import Incident, Showers
from caloforge.store import write_showers
from helpers import lcd_showers, random_showers
from particle_showers import CLASSES, particle_showers, two_windows

# ------------------------------------------------------------------------ figures


def test_confusion_and_accuracy_by_hand() -> None:
    pdg = np.array([11, -11, 22, 22, 111, 13, 13])
    told = [0, 1, 1, 1, 0, 2, 2]
    probability = np.eye(3)[told] * 0.8 + 0.1
    found = classification(pdg, probability, (11, 22, 111))
    assert found is not None
    assert found["confusion"] == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert found["ignored"] == {"13": 2}
    assert found["accuracy"]["n"] == 5
    assert found["accuracy"]["value"] == pytest.approx(0.6)
    assert found["accuracy"]["error"] == pytest.approx(np.sqrt(0.6 * 0.4 / 5))
    assert classification(np.array([13, 13]), probability[:2], (11, 22, 111)) is None


def test_roc_of_two_classes_ignores_the_others() -> None:
    """The score is the odds of the two: a third class that takes all does not disturb."""
    rng = np.random.default_rng(1)
    pdg = np.repeat([11, 22, 211], 200)
    odds = np.where(pdg == 11, 1.0, -1.0) + rng.normal(0, 1.5, 600)
    share = 1 / (1 + np.exp(-odds))
    third = rng.uniform(0.0, 0.99, 600)
    probability = np.column_stack([share * (1 - third), (1 - share) * (1 - third), third])
    found = classification(pdg, probability, (11, 22, 211))
    assert found is not None
    row = found["pairs"][0]
    assert (row["signal"], row["background"]) == (11, 22)
    assert row["auc"] == pytest.approx(roc_auc_score(pdg[:400] == 11, odds[:400]), abs=1e-12)
    curve = row["roc"]
    passed, kept = np.array(curve["background_efficiency"]), np.array(curve["signal_efficiency"])
    assert len(passed) <= 200
    assert np.trapezoid(kept, passed) == pytest.approx(row["auc"], abs=0.005)
    cut = np.quantile(odds[:200], 0.1)
    assert row["background_at_90"] == pytest.approx(np.mean(odds[200:400] >= cut), abs=0.01)
    assert (row["signal_showers"], row["background_showers"]) == (200, 200)


def test_error_of_the_area_is_its_spread() -> None:
    """300 samples of two Gaussians one sigma apart: AUC 0.760, spread as the formula says."""
    rng = np.random.default_rng(2)
    n, m = 60, 90
    truth = np.repeat([1, 0], [n, m])
    areas = [
        roc_auc_score(truth, np.concatenate([rng.normal(1, 1, n), rng.normal(0, 1, m)]))
        for _ in range(300)
    ]
    assert np.mean(areas) == pytest.approx(0.760, abs=0.006)
    assert area_error(float(np.mean(areas)), n, m) == pytest.approx(np.std(areas), rel=0.12)


def test_photons_and_pions_by_opening_angle() -> None:
    """Pions that open wide look unlike photons, narrow ones alike."""
    rng = np.random.default_rng(3)
    pdg = np.repeat([22, 111, 11], [1000, 1000, 10])
    angle = np.where(pdg == 111, rng.uniform(0.002, 0.02, 2010), -1.0)
    odds = np.where(pdg == 22, 2.0, 0.0) + rng.normal(0, 0.5, 2010)
    odds += np.where(pdg == 111, 2.0 - 400 * np.maximum(angle - 0.002, 0), 0.0)
    share = 1 / (1 + np.exp(-odds))
    probability = np.column_stack([share, 1 - share, np.zeros(2010)])
    found = classification(pdg, probability, (22, 111, 11), opening_angle=angle)
    assert found is not None
    rows = found["opening_angle"]
    areas = [row["auc"] for row in rows]
    assert len(rows) == 5
    assert areas[0] < 0.85 < 0.99 < areas[-1]
    assert areas == sorted(areas)
    assert sum(row["background_showers"] for row in rows) == 1000
    assert all(row["signal_showers"] == 1000 for row in rows)
    blind = classification(pdg, probability, (22, 111, 11), opening_angle=0 * angle)
    assert blind is not None
    assert blind["opening_angle"] is None


def test_bins_of_the_opening_angle_without_pions_are_left_out() -> None:
    """Four pions in five bins; the figure is drawn."""
    pdg = np.repeat([22, 111], [4, 4])
    angle = np.array([-1.0] * 4 + [0.003, 0.004, 0.006, 0.05])
    probability = np.column_stack([np.linspace(0.9, 0.2, 8), np.linspace(0.1, 0.8, 8)])
    truth = {"pdg": pdg, "energy": np.full(8, 1e4), "opening_angle": angle}
    table = join([Part(0, truth, np.full(8, 200.0), Predicted((22, 111), probability, {}))])
    found = figures(table)
    rows = found["classification"]["opening_angle"]
    assert sum(row["background_showers"] for row in rows) == 4
    assert all(row["background_showers"] and row["auc"] == 1.0 for row in rows)
    assert opening_angle.draw(table, found) is not None


def test_files_without_pions_have_no_opening_angle() -> None:
    """Each particle in its own file, as 'simulate' writes them: only the pions have the column."""
    told = Predicted((22, 111), np.array([[0.9, 0.1], [0.8, 0.2]]), {})
    truth = {"energy": np.array([1e4, 2e4])}
    photons = {**truth, "pdg": np.array([22, 22])}
    pions = {**truth, "pdg": np.array([111, 111]), "opening_angle": np.array([0.01, 0.02])}
    sums = np.array([200.0, 400.0])
    table = join([Part(0, photons, sums, told), Part(1, pions, sums, told)])
    assert table.truth["opening_angle"].tolist() == [-1.0, -1.0, 0.01, 0.02]
    found = figures(table)["classification"]["opening_angle"]
    assert sum(row["background_showers"] for row in found) == 2
    assert "opening_angle" not in join([Part(0, photons, sums, told)]).truth


def test_energy_figures_find_what_was_put_in() -> None:
    """A predictor 2 % too high with sigma/E = 10 %/sqrt(E) (+) 1 %; sums of cells twice as wide."""
    rng = np.random.default_rng(4)
    n = 40_000
    truth = rng.uniform(10e3, 100e3, n)
    width = np.hypot(0.1 / np.sqrt(truth / 1e3), 0.01)
    predicted = truth * 1.02 * (1 + width * rng.normal(size=n))
    visible = 0.02 * truth * (1 + 2 * width * rng.normal(size=n))
    half = truth < 50e3
    found = energy_figures(truth, predicted, visible, {"low": half, "none": truth < 0})
    assert found["predicted"]["mean"] == pytest.approx(1.02, abs=5e-4)
    assert found["calibration"] == pytest.approx(50.0, rel=1e-3)
    assert found["visible"]["mean"] == pytest.approx(1.0, abs=2e-3)
    assert [row["predicted"]["n"] for row in found["bins"]] == [n // 10] * 10
    fit = found["fit"]["predicted"]
    for name, value in (("stochastic", 0.1), ("constant", 0.01)):
        term = fit["resolution"][name]
        assert abs(term["value"] - value) < 4 * term["error"]
    assert abs(fit["linearity"]["slope"]["value"]) < 4 * fit["linearity"]["slope"]["error"]
    wide = found["fit"]["visible"]["resolution"]["stochastic"]
    assert wide["value"] == pytest.approx(0.2, rel=0.05)
    assert list(found["groups"]) == ["low"]
    assert found["groups"]["low"]["predicted"]["n"] == half.sum()


def test_angles_are_compared_around_the_circle() -> None:
    truth = np.array([3.1, -3.1, 0.0, 1.0])
    predicted = np.array([-3.1, 3.1, 0.1, 1.1])
    found = angle_figures(truth, predicted, np.full(4, 5e3))
    turn = 2 * np.pi - 6.2
    assert found["bias"] == pytest.approx((turn - turn + 0.2) / 4)
    assert found["resolution"] == pytest.approx(np.std([turn, -turn, 0.1, 0.1], ddof=1))
    assert sum(row["n"] for row in found["by_angle"]) == 4
    assert [row["n"] for row in found["by_energy"]] == [4]
    alike = angle_figures(np.full(3, 1.5), np.array([1.5, 1.6, 1.4]), np.full(3, 5e3))
    assert [row["n"] for row in alike["by_angle"]] == [3]


def table(n: int, truth: dict[str, np.ndarray], predicted: Predicted) -> Table:
    return Table(np.zeros(n, np.int32), np.arange(n), truth, np.linspace(10.0, 100.0, n), predicted)


def test_what_has_no_truth_is_none_with_a_note() -> None:
    n = 6
    predicted = Predicted((11, 22), np.full((n, 2), 0.5), {"theta": np.full(n, 1.5)})
    found = figures(table(n, {"energy": np.full(n, 1e4)}, predicted))
    assert found["classification"] is found["energy"] is found["theta"] is found["phi"] is None
    assert set(found["notes"]) == {"classification", "theta"}
    heading = {"n": n, "model": {}, "samples": []}
    assert "nothing to compare" in headline(heading | found)
    assert groups(found) == []
    muons = {"energy": np.full(n, 1e4), "pdg": np.full(n, 13)}
    assert "no shower" in figures(table(n, muons, predicted))["notes"]["classification"]


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_few_showers_give_figures_too(n: int) -> None:
    truth = {"energy": np.full(n, 1e4), "pdg": np.full(n, 22), "theta": np.full(n, 1.5)}
    probability = np.tile([0.2, 0.8], (n, 1))
    told = {"energy": np.full(n, 9e3), "theta": np.full(n, 1.4)}
    found = figures(table(n, truth, Predicted((11, 22), probability, told)))
    assert found["classification"]["accuracy"]["value"] == 1.0
    assert found["classification"]["pairs"][0]["auc"] is None
    assert found["energy"]["predicted"]["mean"] == pytest.approx(0.9)
    assert found["theta"]["bias"] == pytest.approx(-0.1)


# -------------------------------------------------------------------------- chain

EASY = ["model.trees=20", "model.features=[total,moments,axis]", f"model.classes={list(CLASSES)}"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Training and test showers, trained trees, and a generator."""
    path = tmp_path_factory.mktemp("predict")
    write_showers(path / "train.h5", particle_showers(400, 1))
    test = particle_showers(150, 2)
    write_showers(path / "all.h5", test)
    for name, code in (("e", 11), ("gamma", 22), ("pi", 211)):
        write_showers(path / f"{name}.h5", test[np.abs(test.incident["pdg"]) == code])
    train("trees", path / "train.h5", path / "trees", overrides=[*EASY, "model.targets=[energy]"])
    write_showers(path / "lcd.h5", lcd_showers(10))
    train("library", path / "lcd.h5", path / "library")
    return path


def test_the_chain(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """train, info, predict on files of one particle each: figures, table, page."""
    model, report = str(folder / "trees"), tmp_path / "report"
    assert run(["info", model]) == 0
    assert "predict" in capsys.readouterr().out
    inputs = [str(folder / f"{name}.h5") for name in ("e", "gamma", "pi")]
    assert run(["predict", model, *inputs, "-o", str(report), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    written = json.loads((report / "predictions.json").read_text())
    assert printed == written
    assert written["schema"] == 1
    assert written["n"] == 150
    assert [sample["n"] for sample in written["samples"]] == [
        len(caloforge.open(path)) for path in inputs
    ]
    assert written["model"]["kind"] == "trees"
    assert written["classification"]["accuracy"]["value"] > 0.95
    assert written["energy"]["predicted"]["resolution"] < written["energy"]["visible"]["resolution"]
    assert set(written["energy"]["groups"]) == {"11", "22", "211"}
    page = (report / "index.html").read_text()
    assert "Confusion" in page
    assert "e± against γ" in page
    assert "<img src=" in page
    assert "http" not in page.split("</style>")[1].split("Provenance of")[0]
    names = {p.name for p in (report / "figures").iterdir()}
    for name in ("confusion", "roc", "energy_resolution", "energy_spread"):
        assert {f"{name}.png", f"{name}.pdf"} <= names
    rows = pq.read_table(report / "predictions.parquet")
    assert len(rows) == 150
    column = {name: rows[name].to_numpy() for name in rows.column_names}
    for number, sample in enumerate(written["samples"]):
        assert column["row"][column["file"] == number].tolist() == list(range(sample["n"]))
    right = np.mean(column["predicted_pdg"] == np.abs(column["pdg"]))
    assert right == pytest.approx(written["classification"]["accuracy"]["value"])
    assert np.allclose(sum(column[f"probability_{code}"] for code in CLASSES), 1.0)
    assert b"MeV" in rows.schema.field("predicted_energy").metadata[b"description"]


def test_python_and_the_command_agree(folder: Path) -> None:
    """In one sample or in parts, in batches of any size: the same figures."""
    one = caloforge.predict(folder / "trees", folder / "all.h5")
    parts = [folder / f"{name}.h5" for name in ("e", "gamma", "pi")]
    several = caloforge.predict(load_predictor(folder / "trees"), parts, batch_size=7)
    assert one.path is None
    counts = [p.metrics["classification"]["confusion"] for p in (one, several)]
    assert counts[0] == counts[1]
    assert one.columns["predicted_energy"].sum() == pytest.approx(
        several.columns["predicted_energy"].sum()
    )
    predictor = caloforge.load_predictor(folder / "trees")
    assert "trees" in repr(predictor)
    told = predictor.predict(caloforge.open(folder / "all.h5"))
    assert np.array_equal(told.probability[:, 0], one.columns["probability_11"])


def test_train_on_one_generator_test_on_another(folder: Path, tmp_path: Path) -> None:
    """As validation: a predictor names the showers of a wrong generator badly."""
    good = particle_showers(200, 7)
    swapped = Incident({**good.incident.columns, "pdg": np.roll(good.incident["pdg"], 1)})
    wrong = Showers(good.calorimeter, swapped, good.offset, good.cell, good.energy)
    on_good = predict(folder / "trees", good).metrics["classification"]["accuracy"]["value"]
    on_wrong = predict(folder / "trees", wrong).metrics["classification"]["accuracy"]["value"]
    assert on_good > 0.95 > 0.6 > on_wrong
    write_showers(tmp_path / "wrong.h5", wrong)
    reverse = train("trees", tmp_path / "wrong.h5", tmp_path / "m", overrides=EASY)
    assert predict(reverse, good).metrics["classification"]["accuracy"]["value"] < 0.7


@pytest.mark.parametrize("what", ["empty", "unlabelled", "one"])
def test_odd_samples_have_a_report(folder: Path, tmp_path: Path, what: str) -> None:
    some = particle_showers(20, 8)
    if what == "empty":
        none = np.zeros((20, some.calorimeter.n_cells))
        sample = Showers.from_dense(some.calorimeter, some.incident, none)
    elif what == "unlabelled":
        bare = Incident({"energy": some.incident.energy})
        sample = Showers(some.calorimeter, bare, some.offset, some.cell, some.energy)
    else:
        sample = some[:1]
    done = predict(folder / "trees", sample, tmp_path / "r")
    page = (tmp_path / "r" / "index.html").read_text()
    assert "Predictions of trees" in page
    assert ("empty" in done.metrics["notes"]) == (what == "empty")
    assert (done.metrics["classification"] is None) == (what == "unlabelled")
    assert len(done.columns["predicted_energy"]) == len(sample)


def test_old_reports_are_replaced_and_other_files_kept(folder: Path, tmp_path: Path) -> None:
    report = tmp_path / "r"
    for _ in range(2):
        predict(folder / "trees", folder / "e.h5", report)
    (report / "thesis.tex").write_text("precious")
    with pytest.raises(OutputError, match=r"thesis\.tex"):
        predict(folder / "trees", folder / "e.h5", report)
    assert (report / "predictions.json").exists()


def test_wrong_samples_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no showers to predict"):
        predict(folder / "trees", [])
    with pytest.raises(GeometryError, match="windows"):
        predict(folder / "trees", [folder / "e.h5", folder / "lcd.h5"])
    with pytest.raises(GeometryError):
        load_predictor(folder / "trees").predict(random_showers(3))
    with pytest.raises(ShowerError, match="no showers"):
        predict(folder / "trees", particle_showers(3)[:0])
    with pytest.raises(ModelError, match="caloforge generate"):
        predict(folder / "library", folder / "lcd.h5")


BAD = [
    ("predict {f}/none {f}/e.h5 -o {t}/r", 1, ["none", "caloforge train"]),
    ("predict {f}/library {f}/lcd.h5 -o {t}/r", 1, ["library", "caloforge generate"]),
    ("predict {f}/trees {f}/none.h5 -o {t}/r", 1, ["none.h5", "no such file"]),
    ("predict {f}/trees {t}/cut.h5 -o {t}/r", 1, ["cut.h5"]),
    ("predict {f}/trees {f}/lcd.h5 -o {t}/r", 2, ["lcd.h5", "windows"]),
    ("predict {f}/trees {f}/e.h5 -o {t}/no/r", 1, ["mkdir -p"]),
    ("predict {f}/trees -o {t}/r", 2, ["showers"]),
    ("predict {f}/trees {f}/e.h5", 2, ["output"]),
    ("generate {f}/trees --energy 50 -o {t}/o.h5", 1, ["trees", "caloforge predict"]),
    ("export {f}/trees -o {t}/o.onnx", 1, ["trees", "caloforge predict"]),
    ("train trees --data {f}/e.h5 -o {t}/m", 1, ["11", "model.classes=[]"]),
]


@pytest.mark.parametrize(("line", "code", "words"), BAD, ids=[row[0] for row in BAD])
def test_bad_input_is_one_line_and_leaves_nothing(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    line: str,
    code: int,
    words: list[str],
) -> None:
    good = (folder / "e.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(good[: len(good) // 2])
    before = {p.name for p in tmp_path.iterdir()}
    assert run([word.format(f=folder, t=tmp_path) for word in line.split()]) == code
    text = capsys.readouterr().err
    assert all(word in text for word in words)
    assert "Traceback" not in text
    left = {p.name for p in tmp_path.iterdir()} - before
    assert left <= {"m"}  # the folder of a model that could not be trained
    assert all(not any((tmp_path / name).iterdir()) for name in left)


def test_a_network_predicts_from_its_folder(tmp_path: Path) -> None:
    """Twenty steps on two windows: the report has angles, too."""
    calorimeter = two_windows(5)
    data = write_showers(tmp_path / "a.h5", particle_showers(60, 3, calorimeter))
    small = ["model.neurons=16", "training.batch_size=16", "training.max_steps=20"]
    asked = ["model.targets=[energy,theta,phi]", f"model.classes={list(CLASSES)}"]
    model = train("triforce-dnn", data, tmp_path / "m", overrides=[*small, *asked])
    done = predict(model, data, tmp_path / "r")
    assert done.metrics["theta"]["n"] == 60
    assert (tmp_path / "r" / "figures" / "angles.png").exists()
    assert [title for title, _ in groups(done.metrics)] == ["Particles", "Energy", "Angles"]
