"""Spline couplings, flow matching and solvers against values worked out independently."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from caloforge.models.flows.matching import Velocity
from caloforge.models.flows.solvers import Solver, integrate
from caloforge.models.flows.spline_couplings import SplineCouplings
from caloforge.models.twostage.resnet import ResNet
from two_stage_cases import zero


def couplings(features: int, blocks: int = 4) -> SplineCouplings:
    torch.manual_seed(0)
    flow = SplineCouplings(features, 2, blocks=blocks, hidden=(16,), bins=5, bound=6.0)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.mul_(1.5)  # far from the identity
    return flow.double()


def towards_noise(flow: SplineCouplings, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
    for block in flow.blocks:
        x, _ = block.towards_noise(x, context)  # type: ignore[operator]
    return x


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 9), st.integers(0, 2**31), st.floats(0.1, 4.0))
def test_couplings_go_there_and_back(features: int, seed: int, spread: float) -> None:
    flow = couplings(features)
    generator = torch.Generator().manual_seed(seed)
    x = spread * torch.randn(8, features, generator=generator, dtype=torch.float64)
    context = torch.randn(8, 2, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        again = flow(towards_noise(flow, x, context), context)
    assert again.numpy() == pytest.approx(x.numpy(), abs=1e-6)


def test_the_loss_is_the_density_of_the_change_of_variables() -> None:
    """Minus ln N(z) - ln |det dz/dx|, the determinant by NumPy from the whole Jacobian."""
    flow = couplings(5)
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    context = torch.randn(4, 2, generator=generator, dtype=torch.float64)
    expected = []
    for row, beside in zip(x, context, strict=True):

        def one(v: torch.Tensor, c: torch.Tensor = beside) -> torch.Tensor:
            return towards_noise(flow, v[None], c[None])[0]

        jacobian = torch.autograd.functional.jacobian(one, row)  # type: ignore[no-untyped-call]
        z = one(row).detach().numpy()
        _, volume = np.linalg.slogdet(jacobian.numpy())
        expected.append(0.5 * (z**2).sum() + 2.5 * math.log(2 * math.pi) - volume)
    with torch.no_grad():
        assert flow.loss(x, context).item() == pytest.approx(np.mean(expected) / 5, rel=1e-9)


def test_couplings_with_zero_weights_are_the_identity() -> None:
    """Equal bins and slopes of one: a standard normal density."""
    flow = couplings(4)
    zero(flow)
    x = torch.tensor([[0.5, -1.0, 2.0, 0.0]], dtype=torch.float64)
    expected = 0.5 * np.mean([0.25, 1.0, 4.0, 0.0]) + 0.5 * math.log(2 * math.pi)
    assert flow.loss(x, torch.zeros(1, 2).double()).item() == pytest.approx(expected, rel=1e-9)


def test_every_feature_is_moved_and_every_one_moves_others() -> None:
    flow = couplings(7, blocks=2)
    context = torch.zeros(1, 2, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(  # type: ignore[no-untyped-call]
        lambda x: flow(x, context)[0], torch.full((1, 7), 0.3, dtype=torch.float64)
    )[:, 0]
    assert len({int(k) for block in flow.blocks for k in block.order[-3:]}) == 6  # type: ignore[index]
    assert ((jacobian != 0).sum(0) > 1).sum() >= 4


@pytest.mark.parametrize(
    ("solver", "factor"),
    [
        ("euler", 1 + 0.25),
        ("midpoint", 1 + 0.25 + 0.25**2 / 2),
        ("rk4", 1 + 0.25 + 0.25**2 / 2 + 0.25**3 / 6 + 0.25**4 / 24),
    ],
)
def test_solvers_by_hand(solver: Solver, factor: float) -> None:
    """dx/dt = x in four steps multiplies by the Taylor series of exp(1/4) four times."""
    x = torch.tensor([[1.0, -2.0]], dtype=torch.float64)
    found = integrate(lambda x, t: x, x, solver, 4)
    assert found.numpy() == pytest.approx(x.numpy() * factor**4, rel=1e-12)


def test_solvers_know_the_time() -> None:
    """dx/dt = 4 t^3 from 0 to 1 is 1; Runge-Kutta is exact for cubics, the midpoint is not."""
    x = torch.zeros(1, 1, dtype=torch.float64)

    def velocity(x: torch.Tensor, t: float) -> torch.Tensor:
        return torch.full_like(x, 4.0 * t**3)

    assert integrate(velocity, x, "rk4", 3).item() == pytest.approx(1.0, rel=1e-12)
    midpoints = 4.0 * (0.25**3 + 0.75**3) / 2
    assert integrate(velocity, x, "midpoint", 2).item() == pytest.approx(midpoints, rel=1e-12)


def test_the_loss_of_flow_matching_by_hand() -> None:
    """A network that says c everywhere: the mean square of x1 - x0 - c."""
    stage = Velocity(ResNet(3, 1, 8, 1), "euler", 1)
    zero(stage)
    constant = torch.tensor([0.5, -1.0, 2.0])
    with torch.no_grad():
        stage.network.last.bias.copy_(constant)
    value = torch.tensor([[1.0, 2.0, 3.0], [0.0, -1.0, 4.0]])
    torch.manual_seed(5)
    found = stage.loss(value, torch.zeros(2, 1)).item()
    torch.manual_seed(5)
    torch.rand(2, 1)
    noise = torch.randn(2, 3)
    expected = np.mean((value.numpy() - noise.numpy() - constant.numpy()) ** 2)
    assert found == pytest.approx(expected, rel=1e-6)
    drawn = stage(noise, torch.zeros(2, 1))
    assert drawn.detach().numpy() == pytest.approx((noise + constant).numpy(), rel=1e-6)


def test_paths_go_from_noise_to_data() -> None:
    """The network sees (1 - t) x0 + t x1: with 0 at t = 0 it sees noise alone."""
    seen: list[torch.Tensor] = []

    class Spy(ResNet):
        def forward(
            self, x: torch.Tensor, time: torch.Tensor, context: torch.Tensor
        ) -> torch.Tensor:
            seen.extend([x, time])
            return super().forward(x, time, context)

    stage = Velocity(Spy(3, 1, 8, 1), "euler", 1)
    value = torch.full((200, 3), 50.0)
    torch.manual_seed(2)
    stage.loss(value, torch.zeros(200, 1))
    x, time = seen
    assert 0.0 <= time.min() < 0.05
    assert 0.95 < time.max() < 1.0
    noise = (x - time * value) / (1.0 - time)
    assert noise.mean().item() == pytest.approx(0.0, abs=0.2)
