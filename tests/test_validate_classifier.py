"""Classifier tests: known AUCs, calibrated probabilities, the CaloChallenge's definitions."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.sparse import csr_matrix
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from caloforge.errors import GeometryError
from caloforge.geometry import Calorimeter, CartesianGrid, CylindricalGrid, Layer
from caloforge.showers import Incident, Showers
from caloforge.validate import (
    auc,
    calibrated,
    calochallenge_classifier,
    calochallenge_low,
    calochallenge_low_normed,
    classifier_tests,
    divergence,
    high_level_features,
    low_level_features,
    particle_transfer,
    reliability,
    resnet_classifier,
    summarise,
)
from caloforge.validate.classifier import (
    calochallenge,
    calochallenge_network,
    feature_transfer,
    image_features,
    low_level_inputs,
    resnet,
    score_cells,
    score_joined,
    score_network,
    score_trees,
)
from caloforge.validate.classifier.area import chance_error, three_parts
from caloforge.validate.classifier.calochallenge import Pool, split_rows, train_best
from caloforge.validate.classifier.labelled import Fit
from caloforge.validate.classifier.zones import zones

Floats = NDArray[np.float64]


@pytest.fixture
def torch() -> Iterator[Any]:
    """torch with one thread: tiny networks lose much to more."""
    module = pytest.importorskip("torch")
    threads = module.get_num_threads()
    module.set_num_threads(1)
    yield module
    module.set_num_threads(threads)


def calorimeter() -> Calorimeter:
    grid = CartesianGrid(nx=7, ny=7, dx=5.0, dy=5.0)
    layers = tuple(Layer(z=10.0 * k, thickness=10.0, segmentation=grid) for k in range(5))
    return Calorimeter(name="small", cell_threshold=0.01, layers=layers)


def rings() -> Calorimeter:
    grid = CylindricalGrid(r_edges=(0.0, 5.0, 10.0, 20.0), n_phi=4)
    layers = tuple(Layer(z=10.0 * k, thickness=10.0, segmentation=grid) for k in range(2))
    return Calorimeter(name="rings", layers=layers)


def toy(n: int, seed: int, *, width: float = 6.0, middle: float = 20.0, pdg: int = 11) -> Showers:
    """Showers with a fluctuating start, a lateral spread and Poisson-like grains."""
    rng = np.random.default_rng(seed)
    geometry = calorimeter()
    x, y, z = geometry.cell_positions.T
    energy = rng.uniform(1e4, 1e5, n)
    start = rng.normal(middle, 4.0, n)[:, None]
    shape = np.exp(-(x**2 + y**2) / (2 * width**2)) * np.exp(-((z - start) ** 2) / 200)
    shape /= shape.sum(axis=1, keepdims=True)
    dense = rng.gamma(0.3 + 0 * shape) / 0.3 * shape * energy[:, None] * 0.02
    incident = Incident({"energy": energy, "pdg": np.full(n, pdg)})
    return Showers.from_dense(geometry, incident, dense).above_threshold()


def gaussians(n: int, distance: float, seed: int = 0, d: int = 3) -> tuple[Floats, Floats]:
    """Two samples of unit Gaussians, ``distance`` apart in the first of d coordinates."""
    rng = np.random.default_rng(seed)
    shift = np.zeros(d)
    shift[0] = distance
    return rng.standard_normal((n, d)), rng.standard_normal((n, d)) + shift


def hanley(area: float, n: int) -> float:
    """Standard error of an AUC from n against n showers (Hanley and McNeil, 1982)."""
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (n - 1) * (q1 - area**2) + (n - 1) * (q2 - area**2)
    return float(np.sqrt(variance / n**2))


def gaussian_divergence(distance: float) -> float:
    """Jensen-Shannon divergence (bits) of N(0, 1) and N(distance, 1), by integration."""

    def integrand(x: float) -> float:
        p, q = norm.pdf(x), norm.pdf(x - distance)
        m = (p + q) / 2
        return float(0.5 * (p * np.log2(p / m) + q * np.log2(q / m)))

    return float(quad(integrand, -8, 8 + distance)[0])


# ---------------------------------------------------------------- the fast tests


@pytest.mark.parametrize(
    ("score", "distance"),
    [
        (score_network, 0.5),
        (score_trees, 0.0),
        (score_trees, 0.5),
        (score_trees, 2.0),
        (score_cells, 0.0),
        (score_cells, 2.0),
        (score_joined(1), 0.5),
    ],
)
def test_the_auc_of_two_gaussians_is_recovered(score: Fit, distance: float) -> None:
    n = 1000
    expected = float(norm.cdf(distance / np.sqrt(2)))
    result = auc(*gaussians(n, distance), score, seeds=2)
    error = hanley(expected, n // 5) / np.sqrt(2)
    assert result["mean"] is not None
    assert result["calibrated"] is not None
    assert result["jsd"] is not None
    assert -4 * error - 0.015 < result["mean"] - expected < 4 * error
    assert result["calibrated"] == pytest.approx(result["mean"], abs=0.02)
    lack = gaussian_divergence(distance) - result["jsd"]  # few showers calibrate: too small
    assert -0.06 < lack < 0.15
    assert (result["showers"], result["seeds"]) == (n, 2)


def test_equal_samples_scatter_around_one_half() -> None:
    values = []
    for seed in range(4):
        result = auc(*gaussians(200, 0.0, seed), score_trees, seeds=1, seed=seed)
        assert result["std"] is None
        values.append(result["mean"])
    assert np.mean(np.array(values, float)) == pytest.approx(0.5, abs=4 * hanley(0.5, 40) / 4**0.5)


@pytest.mark.parametrize("score", [score_network, score_trees])
def test_auc_of_equal_and_of_different_showers(score: Fit) -> None:
    samples = [summarise(toy(250, k, width=w))[0] for k, w in ((0, 6.0), (1, 6.0), (2, 12.0))]
    features = [high_level_features(sample) for sample in samples]
    chance = auc(features[0], features[1], score, seeds=2)
    clear = auc(features[0], features[2], score, seeds=2)
    assert chance["mean"] == pytest.approx(0.5, abs=0.15)
    assert clear["mean"] is not None
    assert clear["mean"] > 0.95
    assert clear["showers"] == 250


def test_the_error_by_chance_is_that_of_guessing() -> None:
    rng = np.random.default_rng(1)
    y = np.repeat([0, 1], 60)
    areas = [roc_auc_score(y, rng.random(120)) for _ in range(800)]
    assert chance_error(60) == pytest.approx(np.std(areas), rel=0.1)


def test_auc_is_reproducible_and_refuses_tiny_samples() -> None:
    features = [high_level_features(summarise(toy(60, seed))[0]) for seed in (0, 1)]
    first = auc(features[0], features[1], score_network, seeds=2, seed=4)
    assert first == auc(features[0], features[1], score_network, seeds=2, seed=4)
    assert first != auc(features[0], features[1], score_network, seeds=2, seed=5)
    tiny = auc(features[0][:5], features[1], score_network)
    none = dict.fromkeys(("mean", "std", "error", "calibrated", "jsd"))
    assert tiny == none | {"showers": 5, "seeds": 0}


def test_the_three_parts_hold_every_shower_once() -> None:
    reference, generated = np.arange(11.0)[:, None], 100 + np.arange(11.0)[:, None]
    parts = three_parts(reference, generated, 3)
    assert [len(part.y) for part in parts] == [12, 4, 6]
    rows = np.concatenate([part.x[:, 0] for part in parts])
    assert sorted(rows) == [*range(11), *range(100, 111)]
    for part in parts:
        assert np.array_equal(part.y, part.x[:, 0] >= 100)


def test_the_default_tests_tell_all_of_their_figures() -> None:
    reference, same, wide = (
        summarise(toy(200, k, width=w))[0] for k, w in ((0, 6.0), (1, 6.0), (2, 9.0))
    )
    equal = classifier_tests(reference, same, seeds=2)
    different = classifier_tests(reference, wide, seeds=1)
    assert set(equal) == {"high", "high_trees", "low", "low_normed"}
    for name, figures in different.items():
        keys = {"mean", "std", "error", "calibrated", "jsd", "showers", "seeds"}
        assert set(figures) == keys
        error, std = figures["error"], figures["std"]
        assert error is not None
        assert error >= (std or 0.0)
        assert figures["mean"] is not None
        assert figures["jsd"] is not None
        assert figures["mean"] > 0.9, name
        assert 0 < figures["jsd"] <= 1, name
        assert equal[name]["mean"] == pytest.approx(0.5, abs=0.17), name


def test_empty_showers_have_classifier_figures() -> None:
    geometry = calorimeter()
    incident = Incident({"energy": np.full(20, 1e4)})
    empty = summarise(Showers.from_dense(geometry, incident, np.zeros((20, geometry.n_cells))))[0]
    for figures in classifier_tests(empty, empty, seeds=1).values():
        assert figures["mean"] == pytest.approx(0.5)
        assert figures["jsd"] == pytest.approx(0.0, abs=1e-9)


# ----------------------------------------------------------------------- inputs


def test_high_level_vector_is_the_one_of_the_calochallenge() -> None:
    sample = summarise(toy(10, 0))[0]
    table = high_level_features(sample)
    assert table.shape == (10, 1 + 5 + 4 * 5 + 1 + 5)
    assert table[:, 0] == pytest.approx(np.log10(sample.observables.energy))
    assert table[:, 6:11] == pytest.approx(sample.observables.centre_x / 100)
    assert table[:, -5:] == pytest.approx(sample.observables.sparsity)


def test_calochallenge_inputs_follow_the_written_definitions() -> None:
    showers = toy(6, 0)
    dense = showers.dense().astype(np.float64)
    dense[2, 49:98] = 0.0  # an empty layer
    dense[4] = 0.0  # an empty shower
    showers = Showers.from_dense(showers.calorimeter, showers.incident, dense)
    incident = showers.incident.energy[:, None]
    low = calochallenge_low(showers)
    assert low.dtype == np.float64
    expected = np.concatenate([np.log10(incident), dense / incident], axis=1)
    assert np.allclose(low.toarray(), expected, rtol=1e-12, atol=0)
    layers = dense.reshape(6, 5, 49)
    energy = layers.sum(axis=2)
    voxels = (layers / (energy[:, :, None] + 1e-16)).reshape(6, -1)
    expected = np.concatenate([np.log10(incident), voxels, np.log10(energy + 1e-8)], axis=1)
    normed = calochallenge_low_normed(showers).toarray()
    assert np.allclose(normed, expected, rtol=1e-9, atol=0)
    assert np.all(normed[2, 50:99] == 0)
    assert normed[4, -5:] == pytest.approx([-8.0] * 5)


@pytest.mark.parametrize("geometry", [calorimeter(), rings()])
def test_zones_are_partitions_that_refine_each_other(geometry: Calorimeter) -> None:
    layers, ring, quadrant = zones(geometry, np.ones(geometry.n_cells))
    assert np.array_equal(layers.of_cell, geometry.cell_layer)
    assert np.array_equal(ring.of_cell // 6, geometry.cell_layer)
    assert np.array_equal(quadrant.of_cell // 4, ring.of_cell)
    assert quadrant.of_cell.max() < quadrant.n == 4 * ring.n == 24 * geometry.n_layers
    energy = np.random.default_rng(0).random(geometry.n_cells)
    for part in (layers, ring, quadrant):
        sums = np.array([energy[part.of_cell == k].sum() for k in range(part.n)])
        assert (energy @ part.matrix()) == pytest.approx(sums, rel=1e-6)


def test_low_level_inputs_hold_cells_and_standardised_zones() -> None:
    reference, generated = toy(200, 0), toy(150, 1)
    inputs = low_level_inputs(reference, generated)
    dense = reference.dense() > 0, generated.dense() > 0
    often = np.maximum(dense[0].mean(axis=0), dense[1].mean(axis=0)) >= 0.1
    assert inputs.cells == 1 + often.sum()
    relative = reference.energy / reference.incident.energy[reference.hit_shower]
    unit = np.sqrt(np.mean(relative**2))
    cells = reference.dense()[:, often] / reference.incident.energy[:, None] / unit
    assert np.allclose(inputs.reference[:, 1 : inputs.cells], cells, rtol=1e-5)
    around = inputs.reference[:, inputs.cells :]
    assert np.all(np.isfinite(inputs.generated))
    assert np.abs(around).max() <= 8.0
    assert around[:, 0].mean() == pytest.approx(0.0, abs=1e-3)
    assert around[:, 0].std() == pytest.approx(1.0, rel=1e-3)
    normed = low_level_inputs(reference, generated, normed=True)
    share = (
        reference.energy
        / reference.layer_energy[
            reference.hit_shower, reference.calorimeter.cell_layer[reference.cell]
        ]
    )
    first = np.zeros(reference.calorimeter.n_cells)
    mine = reference.hit_shower == 0
    first[reference.cell[mine]] = share[mine] / np.sqrt(np.mean(share**2))
    assert normed.reference[0, 1 : normed.cells] == pytest.approx(first[often], rel=1e-5)
    assert low_level_features(reference, generated)[1].shape == inputs.generated.shape


def test_the_low_test_sees_energy_that_moved_between_layers() -> None:
    reference, generated = toy(400, 0), toy(400, 1)
    dense = generated.dense().reshape(400, 5, 49)
    moved = dense[:, 2] * 0.3
    dense[:, 2] -= moved
    dense[:, 3] += moved
    shifted = Showers.from_dense(calorimeter(), generated.incident, dense.reshape(400, -1))
    inputs = low_level_inputs(reference, shifted.above_threshold())
    result = auc(inputs.reference, inputs.generated, score_joined(inputs.cells), seeds=2)
    assert result["mean"] is not None
    assert result["mean"] > 0.65


# ------------------------------------------------------------------ calibration


def test_isotonic_calibration_makes_probabilities_reliable() -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 40_000)
    score = 1 / (1 + np.exp(-5 * (rng.standard_normal(40_000) + label)))  # far too sure
    fair = calibrated(score[:20_000], label[:20_000], score[20_000:])
    truth = label[20_000:]
    for probability, honest in ((score[20_000:], False), (fair, True)):
        mean, share, n = reliability(probability, truth)
        assert n.sum() == 20_000
        pull = (share - mean) / np.sqrt(np.maximum(mean * (1 - mean), 1e-4) / n)
        assert (np.abs(pull).max() < 5) == honest
    assert fair.min() >= 1e-6
    assert fair.max() <= 1 - 1e-6
    assert np.all(np.diff(fair[np.argsort(score[20_000:])]) >= 0)


def test_reliability_of_probabilities_by_hand() -> None:
    mean, share, n = reliability([0.05, 0.15, 0.11, 1.0], [0, 1, 0, 1])
    assert mean == pytest.approx([0.05, 0.13, 1.0])
    assert share == pytest.approx([0.0, 0.5, 1.0])
    assert n == pytest.approx([1, 2, 1])


def test_divergence_in_bits() -> None:
    label = np.array([0, 0, 1, 1])
    assert divergence(np.full(4, 0.5), label) == pytest.approx(0.0, abs=1e-12)
    assert divergence(label, label) == pytest.approx(1.0, abs=1e-5)
    assert divergence(1 - label, label) == 0.0
    by_hand = 1 + np.mean(np.log2([0.75, 0.75, 0.5, 0.5]))
    assert divergence([0.25, 0.25, 0.5, 0.5], label) == pytest.approx(by_hand)
    x = np.random.default_rng(1).standard_normal(200_000)
    x[100_000:] += 1.5
    y = np.repeat([0, 1], 100_000)
    best = 1 / (1 + np.exp(-(1.5 * x - 1.5**2 / 2)))  # the likelihood ratio as a probability
    assert divergence(best, y) == pytest.approx(gaussian_divergence(1.5), abs=0.005)


# ---------------------------------------------------------- the CaloChallenge's


def test_validation_needs_no_torch() -> None:
    code = "import sys, caloforge.validate; print('torch' in sys.modules, 'sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_the_calochallenge_network_is_as_written(torch: Any) -> None:
    d = 24
    model = calochallenge_network(d)
    count = sum(p.numel() for p in model.parameters())
    assert count == d * 2048 + 2048 + 2 * (2048 * 2048 + 2048) + 2048 + 1
    assert {p.dtype for p in model.parameters()} == {torch.float64}
    x = torch.randn(3, d, dtype=torch.float64)
    w = [p.detach().numpy() for p in model.parameters()]
    h = x.numpy()
    for k in range(3):
        h = h @ w[2 * k].T + w[2 * k + 1]
        h = np.where(h > 0, h, 0.01 * h)
    assert np.allclose(model(x).detach().numpy(), h @ w[6].T + w[7])


def test_the_split_is_the_calochallenges() -> None:
    parts = split_rows(25, np.random.default_rng(0))
    assert [len(part) for part in parts] == [30, 10, 10]
    assert all(np.sum(part < 25) == len(part) // 2 for part in parts)
    assert sorted(np.concatenate(parts)) == list(range(50))


def test_the_best_epoch_is_kept(monkeypatch: pytest.MonkeyPatch, torch: Any) -> None:
    monkeypatch.setattr(calochallenge, "BATCH", 20)
    monkeypatch.setattr(calochallenge, "LEARNING_RATE", 0.05)
    torch.manual_seed(0)
    first, second = gaussians(200, 0.5)
    pool = Pool(first, csr_matrix(second), torch.device("cpu"))
    rng = np.random.default_rng(1)
    train, test, _ = split_rows(200, rng)
    model = calochallenge_network(3, hidden=16)
    told: list[str] = []
    history = train_best(model, pool, train, test, epochs=12, rng=rng, progress=told.append)
    assert len(history) == len(told) == 12
    assert told[3] == f"epoch 4 of 12: accuracy {history[3]:.4f}"
    assert history[-1] < max(history)  # else the test says nothing
    x = np.concatenate([first, second])[test]
    with torch.no_grad():
        guess = model(torch.as_tensor(x)).numpy()[:, 0] > 0
    assert np.mean(guess == (test >= 200)) == pytest.approx(max(history))


def test_batches_hold_the_labels_beside_their_rows(torch: Any) -> None:
    first, second = np.arange(5.0)[:, None], 10 + np.arange(5.0)[:, None]
    pool = Pool(first.astype(np.float32), csr_matrix(second), torch.device("cpu"))
    x, y = pool.batch(np.array([7, 0, 9, 4]))
    assert x.dtype == y.dtype == torch.float64
    assert sorted(x[:, 0].tolist()) == [0.0, 4.0, 12.0, 14.0]
    assert np.array_equal(y[:, 0].numpy(), x[:, 0].numpy() >= 10)


def test_the_calochallenge_classifier_tells_gaussians_apart(
    monkeypatch: pytest.MonkeyPatch, torch: Any
) -> None:
    small = partial(calochallenge_network, hidden=512)
    monkeypatch.setattr(calochallenge, "calochallenge_network", small)
    first, second = gaussians(250, 2.0)
    state = torch.random.get_rng_state()
    result = calochallenge_classifier(first, second, seed=3, device="cpu", epochs=2)
    assert torch.equal(state, torch.random.get_rng_state())
    assert result["auc"] == pytest.approx(norm.cdf(2 / np.sqrt(2)), abs=4 * hanley(0.92, 50))
    assert result["auc"] == pytest.approx(result["auc_raw"], abs=0.05)
    assert result["jsd"] is not None
    assert 0 <= result["jsd"] < 0.6
    assert result["epochs"] == 2
    assert result["showers"] == 250
    assert result["best_epoch"] in (1, 2)
    again = calochallenge_classifier(
        csr_matrix(first), csr_matrix(second), seed=3, device="cpu", epochs=2
    )
    assert again == pytest.approx(result)


def test_perfect_accuracy_ends_the_training_and_tiny_samples_have_none(torch: Any) -> None:
    first, second = gaussians(60, 60.0, d=1)
    result = calochallenge_classifier(first, second, seed=0, device="cpu", epochs=9)
    epochs = result["epochs"]
    assert epochs is not None
    assert epochs < 9
    assert epochs == result["best_epoch"]
    assert result["accuracy"] == result["auc"] == 1.0
    tiny = calochallenge_classifier(first[:9], second, seed=0)
    assert tiny["auc"] is None
    assert tiny["showers"] == 9


def test_the_resnet_has_the_parameters_of_the_written_network(torch: Any) -> None:
    model = resnet((7, 6, 5))
    stem = 32 * 7**3 + 2 * 32
    stages = 4 * (32 * 32 * 27 + 2 * 32)  # 32 planes: four convolutions and their normalisations
    stages += (32 * 64 + 3 * 64 * 64) * 27 + 4 * 2 * 64 + (32 * 64 + 2 * 64)  # with its shortcut
    stages += 4 * 64 * 64 * 27 + 4 * 2 * 64 + (64 * 64 + 2 * 64)
    stages += (64 * 128 + 3 * 128 * 128) * 27 + 4 * 2 * 128 + (64 * 128 + 2 * 128)
    head = 128 + 1 + 1 + 2  # pooled planes, energy, bias; the energy's normalisation
    assert sum(p.numel() for p in model.parameters()) == stem + stages + head
    rows = torch.randn(4, 1 + 7 * 6 * 5, dtype=torch.float64)
    model.eval()
    assert model(rows).shape == (4, 1)
    assert model(rows).dtype == torch.float64
    other = rows.clone()
    other[:, 0] += 1.0
    change = (model(other) - model(rows)).detach().numpy()  # the energy goes to the last layer only
    assert change == pytest.approx(np.full((4, 1), change[0, 0]))
    assert change[0, 0] != 0


def test_images_have_the_axes_of_the_calochallenge() -> None:
    geometry = rings()
    rng = np.random.default_rng(0)
    dense = rng.random((3, geometry.n_cells))
    showers = Showers.from_dense(geometry, Incident({"energy": [1e4] * 3}), dense)
    rows, shape = image_features(showers)
    assert shape == (2, 4, 3)
    image = rows.toarray()[:, 1:].reshape(3, *shape)
    for layer, alpha, r in ((0, 0, 0), (1, 3, 2), (1, 2, 1)):
        cell = int(geometry.cell_index(np.array(layer), np.array(r), np.array(alpha)))
        assert image[:, layer, alpha, r] == pytest.approx(dense[:, cell] / 1e4)
    plain, shape = image_features(toy(3, 0))
    assert shape == (5, 7, 7)
    assert (plain != calochallenge_low(toy(3, 0))).nnz == 0
    uneven = Calorimeter(
        name="uneven",
        layers=(
            Layer(z=0.0, thickness=1.0, segmentation=CartesianGrid(nx=2, ny=2, dx=1, dy=1)),
            Layer(z=1.0, thickness=1.0, segmentation=CartesianGrid(nx=3, ny=2, dx=1, dy=1)),
        ),
    )
    nothing = Showers.from_dense(uneven, Incident({"energy": [1e4]}), np.ones((1, 10)))
    with pytest.raises(GeometryError, match="no regular mesh; use calochallenge_classifier"):
        image_features(nothing)


def test_the_resnet_test_runs_on_showers(torch: Any) -> None:
    result = resnet_classifier(toy(20, 0), toy(20, 1), seed=0, device="cpu", epochs=1)
    assert result["auc"] is not None
    assert 0.0 <= result["auc"] <= 1.0
    assert result["showers"] == 20


# -------------------------------------------------------------- particle transfer


def types(n: int, shift: float, seed: int) -> tuple[Floats, NDArray[np.int32]]:
    """n features of each of two types, 2 apart; ``shift`` moves the second type further."""
    first, second = gaussians(n, 2.0 + shift, seed)
    return np.concatenate([first, second]), np.repeat(np.array([11, 211], np.int32), n)


def test_particle_transfer_of_equal_samples_is_even() -> None:
    (ref, ref_pdg), (gen, gen_pdg) = types(300, 0.0, 0), types(250, 0.0, 1)
    result = feature_transfer(ref, gen, ref_pdg, gen_pdg, seeds=2)
    assert result is not None
    assert result["types"] == [11, 211]
    assert (result["showers"], result["seeds"]) == (250, 2)
    best = float(norm.cdf(2 / np.sqrt(2)))
    for name in ("auc", "accuracy"):
        assert set(result[name]) == {
            "reference_reference",
            "reference_generated",
            "generated_generated",
            "generated_reference",
        }
    for figures in result["auc"].values():
        assert figures["mean"] == pytest.approx(best, abs=0.08)
        assert 0 < figures["std"] < 0.1
    for figures in result["accuracy"].values():
        assert figures["mean"] == pytest.approx(norm.cdf(1.0), abs=0.1)
    assert result == feature_transfer(ref, gen, ref_pdg, gen_pdg, seeds=2)


def test_particle_transfer_sees_types_that_are_too_different() -> None:
    (ref, ref_pdg), (gen, gen_pdg) = types(600, 0.0, 0), types(600, 3.0, 1)
    result = feature_transfer(ref, gen, ref_pdg, gen_pdg, seeds=2)
    assert result is not None
    mean = {key: value["mean"] for key, value in result["accuracy"].items()}
    assert mean["generated_generated"] > mean["reference_reference"] + 0.1
    assert mean["generated_reference"] < mean["reference_reference"] - 0.03


def test_particle_transfer_of_three_types_is_the_mean_of_the_pairs() -> None:
    rng = np.random.default_rng(0)
    pdg = np.repeat(np.array([11, 22, 211], np.int32), 200)
    centre = np.array([0.0, 0.0, 60.0])[np.searchsorted([11, 22, 211], pdg)]
    first, second = (rng.standard_normal((600, 1)) + centre[:, None] for _ in range(2))
    result = feature_transfer(first, second, pdg, pdg, seeds=1)
    assert result is not None
    for figures in result["auc"].values():  # one pair by chance, two pairs always
        assert figures["mean"] == pytest.approx((0.5 + 1 + 1) / 3, abs=0.07)


def test_one_particle_type_cannot_be_told_from_itself() -> None:
    (ref, ref_pdg), (gen, gen_pdg) = types(50, 0.0, 0), types(50, 0.0, 1)
    assert feature_transfer(ref, gen, ref_pdg * 0 + 11, gen_pdg) is None
    assert feature_transfer(ref, gen[:59], ref_pdg, gen_pdg[:59]) is None  # 9 of the second
    one = feature_transfer(ref, gen[:60], ref_pdg, gen_pdg[:60], seeds=1)
    assert one is not None
    assert one["showers"] == 10
    assert one["auc"]["reference_reference"]["std"] is None


def test_particle_transfer_reads_the_types_of_showers() -> None:
    kinds = [toy(60, 0), toy(60, 1, middle=30.0, pdg=22)]
    reference = Showers.concatenate(kinds)
    generated = Showers.concatenate([toy(60, 2), toy(60, 3, middle=30.0, pdg=22)])
    result = particle_transfer(reference, generated, seeds=1)
    assert result is not None
    assert (result["types"], result["showers"]) == ([11, 22], 60)
    for figures in result["auc"].values():
        assert figures["mean"] > 0.8
    assert particle_transfer(reference, kinds[0]) is None
    nameless = Showers(
        generated.calorimeter,
        Incident({"energy": generated.incident.energy}),
        generated.offset,
        generated.cell,
        generated.energy,
    )
    assert particle_transfer(reference, nameless) is None
