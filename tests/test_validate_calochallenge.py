"""The CaloChallenge's figures against a plain-numpy version on dense voxels, number for number."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caloforge.conversion import convert
from caloforge.geometry import Calorimeter, CylindricalGrid, load_detector, read_binning
from caloforge.showers import Incident, Showers
from caloforge.store import open_showers
from caloforge.validate import (
    Separation,
    Summary,
    binning,
    calochallenge_data_set,
    calochallenge_features,
    energy_separation,
    high_level_features,
    separation,
    spectrum_edges,
    summarise,
    validate,
)
from caloforge.validate.comparison import Comparison, Judged
from caloforge.validate.histograms import layer_values
from caloforge.validate.report.html import energy_lines
from helpers import small_calorimeter
from official_evaluation import (
    NAMES,
    OFFICIAL,
    Floats,
    cut,
    expected_by_layer,
    features,
    power,
    random_voxels,
)


def to_showers(name: str, energy: Floats, voxels: Floats) -> Showers:
    """Our showers: voxel ``alpha * n_r + r`` of a layer is cell ``r * n_alpha + alpha``."""
    cells = np.empty_like(voxels)
    for _, edges, sectors, where in OFFICIAL[name].parts:
        block = voxels[:, where].reshape(len(voxels), sectors, len(edges) - 1)
        cells[:, where] = block.transpose(0, 2, 1).reshape(len(voxels), -1)
    calorimeter = load_detector(OFFICIAL[name].detector)
    return Showers.from_dense(calorimeter, Incident({"energy": energy}), cells)


def pair(
    name: str, ref: tuple[Floats, Floats], gen: tuple[Floats, Floats]
) -> tuple[Summary, Summary]:
    first = to_showers(name, *ref)
    edges = spectrum_edges(first)
    return summarise(first, edges)[0], summarise(to_showers(name, *gen), edges)[0]


def assert_separations(name: str, result: Separation, ref: Floats, gen: Floats) -> None:
    """Compare every layer; layers without the feature must be None."""
    for key, by_layer in expected_by_layer(name, ref, gen).items():
        for number, value in zip(
            [layer[0] for layer in OFFICIAL[name].layers], result.by_layer[key], strict=True
        ):
            wanted = by_layer.get(number)
            if wanted is None:
                assert value is None, (key, number)
            else:
                assert value == pytest.approx(wanted, abs=1e-12), (key, number)


@pytest.mark.parametrize("name", NAMES)
def test_the_binning_used_here_is_that_of_the_official_file(name: str, shared_data: Path) -> None:
    path = shared_data / "calochallenge" / f"binning_{OFFICIAL[name].file}.xml"
    layers = [
        (int(e.attrib["id"]), e.attrib["r_edges"], int(e.attrib["n_bin_alpha"]))
        for e in ElementTree.parse(path).getroot()[0]
        if "," in e.attrib["r_edges"]
    ]
    assert tuple(layers) == OFFICIAL[name].layers
    found = calochallenge_data_set(read_binning(path))
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("name", NAMES)
def test_a_data_set_is_known_by_its_cells_alone(name: str) -> None:
    calorimeter = load_detector(OFFICIAL[name].detector)
    bare = tuple(layer.model_copy(update={"number": None}) for layer in calorimeter.layers)
    renamed = calorimeter.model_copy(update={"name": "mine", "stacks": (), "layers": bare})
    found = calochallenge_data_set(renamed)
    assert found is not None
    assert found.name == name
    assert found.layers == tuple(layer[0] for layer in OFFICIAL[name].layers)
    assert found.min_energy == OFFICIAL[name].min_energy
    grid = calorimeter.layers[-1].segmentation
    assert isinstance(grid, CylindricalGrid)
    moved = (*grid.r_edges[:-1], grid.r_edges[-1] + 0.01)
    last = calorimeter.layers[-1].model_copy(
        update={"segmentation": CylindricalGrid(r_edges=moved, n_phi=grid.n_phi)}
    )
    other = calorimeter.model_copy(update={"layers": (*calorimeter.layers[:-1], last)})
    assert calochallenge_data_set(other) is None
    assert calochallenge_data_set(small_calorimeter()) is None
    assert calochallenge_data_set(load_detector("calogan-lar")) is None


@pytest.mark.parametrize("name", NAMES)
def test_the_high_level_vector_has_the_official_order(name: str) -> None:
    energy, voxels = random_voxels(name, OFFICIAL[name].n, 1)
    summary = summarise(to_showers(name, energy, voxels))[0]
    data = cut(name, voxels)
    assert 0 < np.count_nonzero(data) < np.count_nonzero(voxels)
    parts = features(name, data)
    columns = [np.log10(energy)]
    columns += [np.log10(layer + 1e-8) for layer in parts["energy"].values()]
    for key in ("ec_eta", "ec_phi", "w_eta", "w_phi"):
        columns += [layer / 100 for layer in parts[key].values()]
    columns += [np.log10(data.sum(axis=1) + 1e-8), *parts["sparsity"].values()]
    columns += [layer / 100 for key in ("ec_r", "width_r") for layer in parts[key].values()]
    table = high_level_features(summary)
    assert table.shape[1] == {"1-photons": 30, "1-pions": 46, "2": 362, "3": 362}[name]
    np.testing.assert_allclose(table, np.stack(columns, axis=1), rtol=1e-9, atol=1e-7)
    assert np.array_equal(table, calochallenge_features(summary.observables, summary.calorimeter))


@pytest.mark.parametrize("name", NAMES)
def test_separation_powers_are_those_of_the_evaluation(name: str) -> None:
    official = OFFICIAL[name]
    ref, gen = (random_voxels(name, official.n, k + 2, 1.0 + 0.1 * k) for k in range(2))
    first, second = cut(name, ref[1]), cut(name, gen[1])
    reference, generated = pair(name, ref, gen)
    result = separation(reference, generated)
    assert_separations(name, result, first, second)
    assert result.value["etot_over_einc"] == pytest.approx(
        power(first.sum(axis=1) / ref[0], second.sum(axis=1) / gen[0], np.linspace(0.5, 1.5, 101)),
        abs=1e-12,
    )
    edges = np.logspace(np.log10(official.min_energy), np.log10(first.max()), 50)
    assert result.value["cell_energy"] == pytest.approx(
        power(first.ravel(), second.ravel(), edges), abs=1e-12
    )
    assert result.value["cell_energy"] != pytest.approx(0, abs=1e-9)
    assert result.notes == {}
    bins = binning(reference)
    assert bins.name == f"calochallenge-{name}"
    assert np.array_equal(bins.cell_energy, edges)


def test_a_layer_that_is_empty_in_the_reference_keeps_its_histograms() -> None:
    name = "1-pions"
    ref, gen = random_voxels(name, 80, 3), random_voxels(name, 80, 4)
    last = OFFICIAL[name].parts[-1][3]
    ref[1][:, last] = 0
    result = separation(*pair(name, ref, gen))
    assert_separations(name, result, cut(name, ref[1]), cut(name, gen[1]))
    assert result.by_layer["layer_energy"][-1] is None
    assert (result.by_layer["centre_r"][-1] or 0) > 0.3, "in one sample the layer has energy"


hits = st.lists(
    st.tuples(st.integers(0, 7), st.integers(0, 532), st.floats(0.5, 500.0, width=32)),
    min_size=1,
    max_size=30,
)


@settings(max_examples=40, deadline=None)
@given(hits, hits)
def test_any_few_hits_are_counted_as_in_the_evaluation(
    first: list[tuple[int, int, float]], second: list[tuple[int, int, float]]
) -> None:
    # single hits lie on bin edges: in the sectors at +-pi/2 eta is 1e-16, of either sign
    name = "1-pions"
    samples = []
    for entries in (first, second):
        voxels = np.zeros((8, 533))
        for shower, voxel, energy in entries:
            voxels[shower, voxel] = energy
        samples.append((np.full(8, 512.0), voxels))
    reference, generated = pair(name, *samples)
    if reference.empty == 8 or reference.observables.layer_energy.max() <= 1.0:
        return
    ref, gen = (cut(name, sample[1]) for sample in samples)
    for key, by_layer in expected_by_layer(name, ref, gen).items():
        ours = separation(reference, generated).by_layer[key]
        for layer, value in zip(OFFICIAL[name].layers, ours, strict=True):
            wanted = by_layer.get(layer[0])
            if wanted is None or np.isnan(wanted):
                assert value in (None, 1.0), "the evaluation has no number here"
            else:
                assert value == pytest.approx(wanted, abs=1e-12), (key, layer[0])


@pytest.mark.parametrize("dropped", [True, False])
def test_the_hottest_voxel_is_dropped_where_rounding_drops_it(dropped: bool) -> None:
    # the last edge is 10 ** log10(highest energy), which is not always the highest energy
    name = "1-photons"
    tops = np.arange(100.0, 400.0)
    top = next(e for e in tops if (np.logspace(0, np.log10(e), 50)[-1] < e) == dropped)
    voxels = np.full((4, 368), 5.0)
    voxels[:2, 100] = top
    generated = np.full((4, 368), 5.0)
    generated[:, 100] = 0.9 * top
    energy = np.full(4, 2048.0)
    result = separation(*pair(name, (energy, voxels), (energy, generated)))
    edges = np.logspace(0, np.log10(top), 50)
    wanted = power(voxels.ravel(), generated.ravel(), edges)
    assert result.value["cell_energy"] == pytest.approx(wanted, abs=1e-12)
    assert np.histogram(voxels, edges)[0].sum() == 4 * 368 - 2 * dropped


def test_hits_at_right_angles_fall_on_the_official_side_of_zero() -> None:
    name = "3"
    voxels = np.zeros((2, 40500))
    voxels[0, 12 * 18 + 3], voxels[1, 37 * 18 + 3] = 5.0, 5.0
    energy = np.full(2, 5.5)
    table = summarise(to_showers(name, energy, voxels))[0].observables
    wanted = features(name, voxels)["ec_eta"][0]
    assert np.sign(table.centre_x[:, 0]).tolist() == np.sign(wanted).tolist() == [1.0, -1.0]


def test_response_at_each_energy_of_data_set_1() -> None:
    for name in ("1-photons", "1-pions"):
        ref, gen = random_voxels(name, 400, 5), random_voxels(name, 350, 6)
        rows = energy_separation(*pair(name, ref, gen))
        assert rows is not None
        assert [row["energy"] for row in rows] == [2.0**k for k in range(8, 23)]
        for place, row in enumerate(rows):
            narrow = name == "1-photons" and row["energy"] >= 4096
            assert narrow == (name == "1-photons" and place >= 4)
            edges = np.linspace(0.9, 1.1, 21) if narrow else np.linspace(0.4, 1.4, 21)
            values = [
                cut(name, voxels)[energy == row["energy"]].sum(axis=1) / row["energy"]
                for energy, voxels in (ref, gen)
            ]
            assert [row["n_reference"], row["n_generated"]] == [len(v) for v in values]
            assert row["value"] == pytest.approx(power(values[0], values[1], edges), abs=1e-12)
            outside = np.mean((values[1] < edges[0]) | (values[1] > edges[-1]))
            assert row["out_of_range"] == pytest.approx(outside)
        assert sum(row["n_reference"] for row in rows) == 400


def test_response_at_each_energy_needs_showers_and_data_set_1() -> None:
    energy, voxels = random_voxels("1-photons", 40, 5)
    reference = summarise(to_showers("1-photons", np.full_like(energy, 256.0), voxels))[0]
    rows = energy_separation(reference, reference)
    assert rows is not None
    assert rows[0]["n_reference"] == 40
    assert {row["value"] for row in rows[1:]} == {row["out_of_range"] for row in rows[1:]} == {None}
    other = summarise(to_showers("2", *random_voxels("2", 8, 1)))[0]
    assert energy_separation(other, other) is None


def test_a_simulation_that_is_not_calibrated_keeps_bins_around_its_response() -> None:
    energy, voxels = random_voxels("2", 60, 7)
    raw = to_showers("2", energy, voxels * 0.033)
    reference = summarise(raw)[0]
    assert reference.threshold == 0.0005
    bins = binning(reference)
    mean = reference.observables.response.mean()
    assert bins.showers["etot_over_einc"] == pytest.approx(np.linspace(0.5 * mean, 1.5 * mean, 101))
    assert bins.name == "calochallenge-2"
    assert "outside the CaloChallenge's 0.5 to 1.5" in bins.notes["etot_over_einc"]
    first = bins.layers["layer_energy"][4]
    assert first is not None
    assert first[0] == pytest.approx(0.0005)
    assert bins.cell_energy[0] == pytest.approx(0.0005)
    assert list(separation(reference, reference).notes) == ["separation.etot_over_einc"]
    calibrated = summarise(to_showers("2", energy, voxels))[0]
    assert calibrated.threshold == OFFICIAL["2"].min_energy
    # the same showers in other units: equal histograms of everything but energies
    other = random_voxels("2", 50, 8, 1.2)
    scaled = other[0], other[1] * 0.033
    ours = separation(*pair("2", (energy, voxels * 0.033), scaled))
    theirs = separation(*pair("2", (energy, voxels), other))
    for key in ("centre_x", "width_r", "sparsity"):
        assert ours.value[key] == pytest.approx(theirs.value[key], abs=1e-9), key


def test_other_calorimeters_keep_their_bins_and_entries() -> None:
    photons = load_detector("calochallenge-1-photons")
    fewer = Calorimeter(name="fewer", cell_threshold=1.0, layers=photons.layers[:4])
    assert calochallenge_data_set(fewer) is None
    _, voxels = random_voxels("1-photons", 50, 1)
    cells = to_showers("1-photons", np.full(50, 1e4), voxels).dense()[:, : fewer.n_cells]
    summary = summarise(Showers.from_dense(fewer, Incident({"energy": np.full(50, 1e4)}), cells))[0]
    bins = binning(summary)
    assert (bins.name, bins.empty_layers, dict(bins.notes)) == ("reference", False, {})
    energies = summary.observables.layer_energy
    filled = np.count_nonzero(energies, axis=0)
    assert filled.max() < 50
    assert [len(values) for values in layer_values(summary, "centre_r")] == filled.tolist()
    assert [len(values) for values in layer_values(summary, "centre_r", empty=True)] == [50] * 4
    lowest = bins.layers["layer_energy"][1]
    assert lowest is not None
    assert lowest[0] == pytest.approx(energies[:, 1][energies[:, 1] > 0].min())
    assert high_level_features(summary)[:, 5] == pytest.approx(
        summary.observables.centre_x[:, 1] / 100
    ), "x centres, x widths, ...: the general order"


def test_a_sample_of_empty_showers_has_no_numbers_but_no_nan() -> None:
    calorimeter = load_detector("par04-siw")
    empty = Showers.from_dense(
        calorimeter, Incident({"energy": np.full(4, 1e3)}), np.zeros((4, calorimeter.n_cells))
    )
    reference = summarise(empty)[0]
    result = separation(reference, reference)
    assert result.value["layer_energy"] is None
    assert result.value["cell_energy"] is None
    assert result.value["etot_over_einc"] is None
    assert result.value["centre_x"] == 0.0
    assert np.isfinite(high_level_features(reference)).all()
    assert binning(reference).notes == {}


@pytest.mark.parametrize("name", NAMES[:2])
def test_an_official_file_is_judged_by_the_official_rules(name: str, tmp_path: Path) -> None:
    ref, gen = random_voxels(name, 100, 8), random_voxels(name, 90, 9, 1.3)
    stores = []
    assert (ref[1].sum(axis=1) == 0).any(), "a shower without energy"
    for stem, (energy, voxels) in (("ref", ref), ("gen", gen)):
        with h5py.File(tmp_path / f"{stem}_raw.h5", "w") as file:
            file["incident_energies"] = energy[:, None]
            file["showers"] = voxels
        convert(tmp_path / f"{stem}_raw.h5", tmp_path / f"{stem}.h5", keep_empty=True)
        stores.append(open_showers(tmp_path / f"{stem}.h5").read())
    figures = validate(stores[0], stores[1], quick=True).metrics
    wanted = expected_by_layer(name, cut(name, ref[1]), cut(name, gen[1]))
    for key, by_layer in wanted.items():
        known = [value for value in figures["separation_by_layer"][key] if value is not None]
        assert known == pytest.approx([v for v in by_layer.values() if v is not None], abs=1e-12)
        assert figures["separation"][key] == pytest.approx(np.mean(known))
    summaries = [summarise(store)[0] for store in stores]
    page = Comparison(summaries[0], [Judged("gen", summaries[1], figures)])
    lines = energy_lines(page)
    assert [line[0] for line in lines][:2] == ["0.256 GeV", "0.512 GeV"]
    assert len(lines) == 15
    known = [row["value"] for row in figures["energy_separation"]]
    assert [line[1] for line in lines] == [["-" if v is None else f"{v:.3g}"] for v in known]
