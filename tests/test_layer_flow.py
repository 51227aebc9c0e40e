"""The energy stage: forth and back, exact sums, and a density that learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from caloforge.geometry import load_detector
from caloforge.models.precision import infer
from caloforge.models.sparse.layer_flow import RANGE, LayerFlow
from caloforge.preprocess.layer_shares import LayerShares
from caloforge.showers import Incident, Provenance, Showers
from helpers import random_showers, small_calorimeter


def fitted(showers: Showers, *columns: str) -> LayerFlow:
    torch.manual_seed(0)
    stage = LayerFlow(showers.calorimeter, columns or ("energy",), 2, (16,))
    stage.fit(showers)
    return stage


def energies(showers: Showers) -> torch.Tensor:
    dense = torch.from_numpy(showers.dense().astype(np.float64))
    return LayerShares(showers.calorimeter).layer_energies(dense)


def conditions(showers: Showers) -> torch.Tensor:
    return torch.from_numpy(showers.incident.energy.astype(np.float64))[:, None]


def test_variables_go_forth_and_back() -> None:
    """Through the flow both ways, real layers come back."""
    showers = random_showers(40, load_detector("calogan-lar"))
    stage = fitted(showers).double()
    layers, condition = energies(showers), conditions(showers)
    value = (stage._raw(layers, condition) - stage.variable_mean) / stage.variable_std
    assert value.abs().max() < RANGE
    normal = stage.flow(stage.known(condition)).transform(value)
    with torch.no_grad():
        again = stage(condition, normal)
    assert again.numpy() == pytest.approx(layers.numpy(), rel=1e-6)


def test_fit_takes_means_and_spreads() -> None:
    showers = random_showers(50)
    stage = fitted(showers)
    logarithm = np.log(showers.incident.energy)
    assert stage.condition_mean.item() == pytest.approx(logarithm.mean(), rel=1e-6)
    assert stage.condition_std.item() == pytest.approx(logarithm.std(), rel=1e-5)
    layers = energies(showers).numpy()
    visible = np.log(layers.sum(1) / showers.incident.energy)
    assert stage.variable_mean[0].item() == pytest.approx(visible.mean(), rel=1e-5)
    share = layers[:, 1] / layers[:, 1:].sum(1)
    logit = np.log(share / (1 - share))
    assert stage.variable_mean[2].item() == pytest.approx(logit.mean(), abs=1e-4)
    features = stage.features(energies(showers), conditions(showers)).detach().numpy()
    assert features.mean(0) == pytest.approx(np.zeros(4), abs=1e-5)
    assert features.std(0) == pytest.approx(np.ones(4), rel=1e-4)


def test_columns_that_do_not_vary_stay_finite() -> None:
    showers = random_showers(6)
    columns = {"energy": np.full(6, 20e3), "theta": np.full(6, np.pi / 2)}
    same = Showers.from_dense(
        showers.calorimeter, Incident(columns), showers.dense(), Provenance(step="test")
    )
    stage = fitted(same, "energy", "theta")
    condition = torch.from_numpy(np.column_stack(list(columns.values()))).float()
    assert torch.equal(stage.known(condition), torch.zeros(6, 2))
    assert stage.loss(energies(same), condition).isfinite()


def test_empty_layers_and_showers_have_finite_losses() -> None:
    showers = random_showers(20)
    stage = fitted(showers)
    layers = torch.tensor([[0.0, 2.0, 0.0, 0.0], [0.0] * 4, [3.0, 0.0, 0.0, 1.0]])
    loss = stage.loss(layers, torch.full((3, 1), 20e3))
    loss.backward()
    assert loss.isfinite()
    gradients = [p.grad for p in stage.parameters()]
    assert all(g is not None and g.isfinite().all() for g in gradients)


def test_learns_the_layers_of_a_sample() -> None:
    """Energy in the first layer in half of the showers: so it is drawn, at the right sum."""
    calorimeter = small_calorimeter(n=1, layers=2)
    rng = np.random.default_rng(0)
    incident = rng.uniform(1e4, 1e5, 1500)
    front = np.where(rng.random(1500) < 0.5, 0.2, 0.7) + 0.02 * rng.normal(size=1500)
    sums = 0.02 * incident * (1 + 0.05 * rng.normal(size=1500))
    cells = sums[:, None] * np.stack([front, 1 - front], axis=1)
    showers = Showers.from_dense(
        calorimeter, Incident({"energy": incident}), cells, Provenance(step="test")
    )
    stage = fitted(showers)
    optimizer = torch.optim.Adam(stage.parameters(), 1e-2)
    layers, condition = torch.from_numpy(cells), torch.from_numpy(incident[:, None]).float()
    for _ in range(120):
        loss = stage.loss(layers, condition)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        drawn = infer(stage, condition.double(), torch.randn(1500, 2).double()).numpy()
    visible = drawn.sum(1) / incident
    assert visible.mean() == pytest.approx(0.02, rel=0.01)
    assert visible.std() == pytest.approx(0.001, rel=0.2)
    share = drawn[:, 0] / drawn.sum(1)
    assert (share < 0.45).mean() == pytest.approx(0.5, abs=0.08)
    assert ((share > 0.3) & (share < 0.6)).mean() < 0.1
