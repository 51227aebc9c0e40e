"""EDM and its distillation against values worked out independently."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from caloforge.models.diffusion import Diffusion
from caloforge.models.diffusion.average import WeightAverage, inverse_decay
from caloforge.models.diffusion.config import DiffusionConfig
from caloforge.models.diffusion.edm import Denoiser, draw, heun_step, noise_levels
from caloforge.models.diffusion.shapes import DiffusionShapes
from caloforge.models.twostage.resnet import ResNet
from two_stage_cases import batch_of, fresh, known_showers, learn, zero

Array = NDArray[np.float64]

VARIANCE = 0.25
"""Of the data: sigma_data is 0.5."""


def denoiser(least: float = 0.0) -> Denoiser:
    """With F = 0: D = c_skip x, exactly right for normal data (for least = 0)."""
    made = Denoiser(ResNet(3, 1, 8, 1), 0.5, least)
    zero(made)
    return made.double()


def normal_denoise(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    return x * VARIANCE / (VARIANCE + sigma**2)


def test_noise_levels_are_the_published_ones() -> None:
    levels = noise_levels(18, 0.002, 80.0, 7.0)
    assert len(levels) == 18
    assert [levels[0], levels[-1]] == pytest.approx([80.0, 0.002])
    k = np.arange(18)
    expected = (80 ** (1 / 7) + k / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    assert levels == pytest.approx(list(expected))


def test_heun_steps_by_hand() -> None:
    """From 2 to 1 with D = x / 2: slopes 1/4 x and, at 3/4 x, 3/8 x; their mean is 5/16."""
    x = torch.tensor([[1.0, -4.0]], dtype=torch.float64)
    ones = torch.ones(1, 1, dtype=torch.float64)
    found = heun_step(lambda x, sigma: x / 2, x, 2 * ones, ones)
    assert found.numpy() == pytest.approx(x.numpy() * (1 - 5 / 16))


def test_drawing_from_normal_data_gives_normal_data() -> None:
    """The flow's end is known: x sqrt(v / (v + 80^2)) of the noise's x. The error is of order 2."""
    noise = torch.tensor([[1.0, -0.5, 2.0]], dtype=torch.float64)
    exact = 80.0 * noise * (VARIANCE / (VARIANCE + 6400.0)) ** 0.5
    errors = []
    for steps in (18, 36, 72):
        found = draw(normal_denoise, noise, noise_levels(steps, 0.002, 80.0, 7.0))
        errors.append((found / exact - 1.0).abs().max().item())
    assert errors[0] < 0.06
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.2)
    assert errors[1] / errors[2] == pytest.approx(4.0, rel=0.2)


def test_the_denoiser_is_preconditioned() -> None:
    x = torch.tensor([[1.0, 2.0, -3.0]], dtype=torch.float64)
    sigma, context = torch.full((1, 1), 0.3).double(), torch.zeros(1, 1).double()
    plain = denoiser()
    assert plain(x, sigma, context).detach().numpy() == pytest.approx(
        normal_denoise(x, sigma).numpy()
    )
    with torch.no_grad():
        plain.network.last.bias.fill_(1.0)
    size = 0.3 * 0.5 / (0.3**2 + VARIANCE) ** 0.5
    shifted = plain(x, sigma, context) - normal_denoise(x, sigma)
    assert shifted.detach().numpy() == pytest.approx(np.full((1, 3), size), rel=1e-6)


def test_a_consistency_model_leaves_its_least_noise_alone() -> None:
    student = Denoiser(ResNet(3, 1, 8, 1), 0.5, 0.002).double()
    x = torch.randn(4, 3, dtype=torch.float64)
    least = torch.full((4, 1), 0.002, dtype=torch.float64)
    with torch.no_grad():
        found = student(x, least, torch.zeros(4, 1).double())
    assert found.numpy() == pytest.approx(x.numpy(), rel=1e-12)


def test_the_loss_by_hand() -> None:
    """(s^2 + v) / (s^2 v) times the squared error of D, here of c_skip (y + s n)."""
    value = torch.tensor([[0.4, -0.2, 1.0], [0.1, 0.0, -0.7]]).double()
    noise = torch.tensor([[1.0, 0.5, -1.0], [2.0, 0.0, 0.3]]).double()
    sigma = torch.tensor([[0.5], [3.0]]).double()
    found = denoiser().loss(value, noise, sigma, torch.zeros(2, 1).double()).item()
    y, n, s = value.numpy(), noise.numpy(), sigma.numpy()
    error = (y + s * n) * VARIANCE / (VARIANCE + s**2) - y
    expected = ((s**2 + VARIANCE) / (s**2 * VARIANCE) * error**2).mean()
    assert found == pytest.approx(expected, rel=1e-6)


def stage(**config: object) -> DiffusionShapes:
    given = {"width": 8, "blocks": 1, "steps": 5, "distil_steps": 1, **config}
    return DiffusionShapes(3, 1, DiffusionConfig.model_validate(given)).double()


def test_the_students_loss_by_hand() -> None:
    """With F = 0 everywhere: f(x) of noisy data against f after a Heun step of D = c_skip x."""
    shapes = stage()
    zero(shapes.teacher)
    shapes.average.update(shapes.teacher, 0.0)
    shapes.begin_student()
    value = torch.tensor([[0.8, -0.4, 2.0], [0.2, 0.0, -1.4]]).double()
    torch.manual_seed(4)
    found = shapes.consistency_loss(value, torch.zeros(2, 1).double()).item()
    torch.manual_seed(4)
    which = (torch.rand(2) * 4).long().numpy()
    noise = torch.randn(2, 3).numpy()
    levels = np.array(noise_levels(5, 0.002, 80.0, 7.0))
    s, t = levels[which][:, None], levels[which + 1][:, None]

    def f(x: Array, s: Array) -> Array:
        return np.asarray(VARIANCE / ((s - 0.002) ** 2 + VARIANCE) * x)

    x = 0.5 * value.numpy() + s * noise
    slope = x * (1 - VARIANCE / (VARIANCE + s**2)) / s
    guess = x + (t - s) * slope
    again = guess * (1 - VARIANCE / (VARIANCE + t**2)) / t
    cleaner = x + (t - s) * (slope + again) / 2
    assert found == pytest.approx(np.mean((f(x, s) - f(cleaner, t)) ** 2), rel=1e-5)


def test_noise_in_training_is_lognormal(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = stage()
    seen: list[torch.Tensor] = []

    def spy(value: torch.Tensor, noise: torch.Tensor, sigma: torch.Tensor, *_: object) -> object:
        seen.extend([value, sigma])
        return sigma.sum()

    monkeypatch.setattr(shapes.teacher, "loss", spy)
    torch.manual_seed(0)
    shapes.loss(torch.ones(20_000, 3), torch.zeros(20_000, 1))
    logs = seen[1].log()
    assert (logs.mean().item(), logs.std().item()) == pytest.approx((-1.2, 1.2), abs=0.03)
    assert (seen[0] == 0.5).all()


def test_the_average_of_weights_by_hand() -> None:
    network = torch.nn.Linear(1, 1)
    zero(network)
    average = WeightAverage(network)
    with torch.no_grad():
        network.weight.fill_(1.0)
    average.update(network, 0.9)
    average.update(network, 0.9)
    assert average.weights()["weight"].item() == pytest.approx(0.19)
    with torch.no_grad():
        assert average.run(network, torch.ones(1, 1)).item() == pytest.approx(0.19)
        assert network(torch.ones(1, 1)).item() == 1.0
    decays = [inverse_decay(step, 2.0 / 3.0, 0.9999) for step in (0, 7, 26, 10**9)]
    assert decays == pytest.approx([0.0, 0.75, 1.0 - 1.0 / 9.0, 0.9999])


def test_teacher_then_student() -> None:
    """Phases, the names of the losses, who draws when, and what rests meanwhile."""
    showers = known_showers(64)
    config = {"shape_steps": 3, "distil_steps": 9, "energy_steps": 12, "distil_rate": 1e-3}
    model = fresh("diffusion", showers, **config)
    assert isinstance(model, Diffusion)
    batch = batch_of(showers)
    losses = learn(model, batch, 3)
    assert all(np.isnan(step["student"]) and np.isfinite(step["shapes"]) for step in losses)
    assert not model.eval().shapes.distilled
    teacher = {k: v.clone() for k, v in model.shapes.teacher.state_dict().items()}
    average = {k: v.clone() for k, v in model.shapes.average.weights().items()}
    losses = learn(model.train(), batch, 1)
    assert np.isfinite(losses[0]["student"])
    assert np.isnan(losses[0]["shapes"])
    assert model.eval().shapes.distilled
    learn(model.train(), batch, 8)
    after = model.shapes.teacher.state_dict()
    assert all(torch.equal(teacher[k], after[k]) for k in teacher)
    student = dict(model.shapes.student.named_parameters())
    assert all(not torch.equal(average[k], student[k]) for k in average)
    assert all((average[k] - student[k]).abs().max() < 0.1 for k in average)


def test_a_student_learns_to_draw_in_one_step() -> None:
    """Numbers near 1 or -1: one step of the teacher gives their mean, one of the student both."""
    torch.manual_seed(0)
    size = {"width": 16, "gates": True, "steps": 6, "sigma_max": 5.0}
    shapes = stage(**size).float()
    context = torch.zeros(256, 1)
    for network, loss, average in (
        (shapes.teacher, shapes.loss, shapes.average),
        (shapes.student, shapes.consistency_loss, shapes.target),
    ):
        optimizer = torch.optim.Adam(network.parameters(), 5e-3)
        for _ in range(300):
            signs = 2.0 * torch.randint(2, (256, 3)) - 1.0
            optimizer.zero_grad()
            loss(signs + 0.1 * torch.randn(256, 3), context).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            average.update(network, 0.9)
        if network is shapes.teacher:
            shapes.begin_student()
    noise = torch.randn(256, 3)
    with torch.no_grad():
        teacher = shapes(noise, context)
        blurred = shapes.teacher(5.0 * noise, torch.full((256, 1), 5.0), context) / 0.5
        shapes.distilled = True
        student = shapes(noise, context)
    assert teacher.abs().mean().item() == pytest.approx(1.0, abs=0.15)
    assert student.abs().mean().item() == pytest.approx(1.0, abs=0.15)
    assert blurred.abs().mean().item() < 0.4
    assert ((teacher > 0) == (student > 0)).float().mean() > 0.95
