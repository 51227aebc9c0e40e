"""Symmetries and frames of the layered model, and what it learns from."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from torch.nn.functional import softplus

from caloforge.errors import ConfigError
from caloforge.geometry import load_detector
from caloforge.models import build_model
from caloforge.models.layered import Layered
from caloforge.models.layered.features import Moments
from caloforge.models.layered.field import Field
from caloforge.models.layered.groups import groups_of
from caloforge.models.layered.hits import Hits
from caloforge.models.layered.symmetry import Mirrors
from caloforge.sampling import LayeredSampler
from caloforge.sampling.frame import Frame
from caloforge.sampling.grid import LayerGrid
from caloforge.sampling.shapes import told_of
from helpers import lcd_showers

# ---------------------------------------------------------------------------- symmetry


def test_images_keep_energies_and_mirror_moments() -> None:
    showers = lcd_showers(6)
    grid = LayerGrid.of(showers.calorimeter)
    mirrors = Mirrors(grid, ("energy", "x", "y"))
    assert len(mirrors) == 8
    dense = torch.from_numpy(showers.dense())
    shower, place = (dense > 0).nonzero(as_tuple=True)
    energy = dense[shower, place]
    condition = torch.tensor([[1e4, 1.0, -2.0]]).repeat(6, 1)
    moments = Moments(grid)

    def described(place: torch.Tensor) -> torch.Tensor:
        size = torch.Size((625, 6, 25))
        found: torch.Tensor = moments(Hits(shower * 25 + place // 625, place % 625, energy, size))
        return found

    before = described(place)
    for number in range(8):
        which = torch.full((6,), number)
        changed = mirrors.conditions(condition, which)
        after, matrix = described(mirrors.places(shower, place, which)), mirrors.matrix[number]
        assert torch.allclose(after[..., :2], before[..., :2], rtol=1e-5)
        assert torch.allclose(after[..., 2:4], before[..., 2:4] @ matrix.T, atol=1e-3)
        assert torch.allclose(changed[:, 1:], condition[:, 1:] @ matrix.T)
    angled = Mirrors(grid, ("energy", "theta"))
    assert len(angled) == 4
    turned = angled.conditions(torch.tensor([[1e4, 1.2]]).repeat(6, 1), torch.full((6,), 2))
    assert turned[:, 1] == pytest.approx(np.pi - 1.2, abs=1e-6)


def test_far_cells_are_grouped_evenly() -> None:
    grid = LayerGrid.of(load_detector("lcd-ecal-25"))
    group = groups_of(grid)
    count = np.bincount(group)
    radius = np.hypot(grid.x[0], grid.y[0])
    assert (count[group[radius < 8]] == 1).all()
    assert count[group[radius > 8.5]].mean() > 5
    turned = group.reshape(25, 25).T[::-1].ravel()  # a quarter turn maps groups onto groups
    assert len(set(zip(group, turned, strict=True))) == group.max() + 1


@pytest.mark.parametrize(
    ("name", "images"),
    [("calogan-lar", 4), ("par04-siw", 8), ("lcd-ecal-25", 8), ("calochallenge-1-pions", 1)],
)
def test_any_calorimeter(name: str, images: int) -> None:
    calorimeter = load_detector(name)
    model = build_model("layered", calorimeter, {"decoder": [8], "encoder": [8]})
    assert isinstance(model, Layered)
    assert len(model.mirrors) == images
    grid = LayerGrid.of(calorimeter)
    assert sorted(grid.number[grid.number >= 0]) == list(range(calorimeter.n_cells))


# ------------------------------------------------------------------------------- frame


ANGLED = {"condition": ("energy", "theta", "x", "y", "z"), "margin": 8, "depth": 45.0}


def angled_particles(n: int, seed: int = 0) -> np.ndarray:
    """Energies, angles and points (n, 5), at a depth of 45 mm."""
    rng = np.random.default_rng(seed)
    theta = rng.uniform(np.pi / 3, 2 * np.pi / 3, n)
    x, y = rng.uniform(-2.5, 2.5, (2, n))
    return np.column_stack([np.full(n, 5e4), theta, x, y, np.full(n, 45.0)])


def test_the_frame_follows_the_particle() -> None:
    """A line's own cell lies in the middle of the frame in every layer."""
    calorimeter = load_detector("lcd-ecal")
    frame = Frame(calorimeter, ANGLED)
    asked = angled_particles(200)
    begin, apart = frame.places(asked)
    assert np.abs(apart).max() <= 0.5
    slope = 1 / np.tan(asked[:, 1])
    for layer, z in enumerate(frame.middle):
        x = asked[:, 2] + (z - 45.0) * slope
        cell = calorimeter.locate(x, asked[:, 3], np.full(200, z)) - calorimeter.layer_offset[layer]
        place = cell + begin[:, layer]
        assert frame.grid.x[layer, place] == pytest.approx(0.0, abs=1e-9)
        assert x / 5.0 - calorimeter.cell_positions[cell, 0] / 5.0 == pytest.approx(
            apart[:, layer], abs=1e-6
        )


def test_the_depth_of_the_point_does_not_matter() -> None:
    frame = Frame(load_detector("lcd-ecal"), ANGLED)
    asked = angled_particles(50)
    front = asked.copy()
    front[:, 2] -= 45.0 / np.tan(asked[:, 1])
    front[:, 4] = 0.0
    for one, other in zip(frame.places(asked), frame.places(front), strict=True):
        assert one == pytest.approx(other, abs=1e-6)
    assert frame.known(asked) == pytest.approx(frame.known(front), abs=1e-9)
    assert frame.known(asked)[:, 0] == pytest.approx(np.log(5e4))


def test_showers_keep_their_cells_in_the_frame() -> None:
    calorimeter = load_detector("lcd-ecal")
    model = build_model("layered", calorimeter, {**ANGLED, "encoder": [8], "decoder": [8]})
    assert isinstance(model, Layered)
    rng = np.random.default_rng(4)
    cells = np.where(rng.random((5, 25, 2601)) < 0.02, rng.uniform(0.1, 1, (5, 25, 2601)), 0.0)
    asked = torch.from_numpy(angled_particles(5)).float()
    dense = torch.from_numpy(cells.reshape(5, -1)).float()
    framed = model._framed(*model._hits(dense), asked)
    hits, there = framed.hits, model._there(framed.begin)
    assert hits.sums(hits.energy[:, None])[..., 0].numpy() == pytest.approx(cells.sum(-1), rel=1e-5)
    assert (there.sum(0) == 2601).all()
    found = torch.zeros(hits.size)
    found.view(-1)[hits.place] = hits.energy
    assert (found[~there] == 0).all()
    back = found.permute(1, 2, 0)[there.permute(1, 2, 0)].reshape(5, 25, 2601)
    assert np.array_equal(back.numpy(), cells.astype(np.float32))


def test_the_shape_stage_knows_where_lines_cross_the_layers() -> None:
    """The same in training and in the sampler, for frames that follow the line; else not at all."""
    calorimeter = load_detector("lcd-ecal")
    asked = angled_particles(4)
    dense = torch.zeros(4, calorimeter.n_cells)
    dense.view(4, 25, 2601)[:, ::2, 1300:1303] = 1.5
    for settings, numbers in ((ANGLED, 4), ({"condition": ANGLED["condition"]}, 3)):
        model = build_model("layered", calorimeter, {**settings, "encoder": [8], "decoder": [8]})
        assert isinstance(model, Layered)
        framed = model._framed(*model._hits(dense), torch.from_numpy(asked).float())
        learned = model._layer_numbers(framed)[1].numpy()
        standard = model._features(framed)[..., :2].double().numpy()
        _, apart = model.frame.places(asked)
        told = told_of(standard, framed.hit.numpy(), model.frame.crossing(apart))
        assert told.shape == (4, 25, numbers)
        assert told == pytest.approx(learned, abs=1e-5)
        assert model.shapes.before.in_features > 2 * numbers
    assert np.ptp(apart) == 0.0


def test_the_decoder_knows_the_particle() -> None:
    """The same in training and in the sampler; it stands between features and learned numbers."""
    calorimeter = load_detector("lcd-ecal")
    asked = angled_particles(4)
    nothing = torch.zeros(4, calorimeter.n_cells)
    for settings, numbers in ((ANGLED, 5), ({"condition": ANGLED["condition"]}, 4)):
        model = build_model("layered", calorimeter, {**settings, "encoder": [8], "decoder": [8]})
        assert isinstance(model, Layered)
        known = torch.from_numpy(model.frame.known(asked)).float()
        model.energies.condition_mean.copy_(known.mean(0))
        model.energies.condition_std.copy_(known.std(0).clamp(min=1.0))
        framed = model._framed(*model._hits(nothing), torch.from_numpy(asked).float())
        learned = model._seen(framed)[..., 6:].numpy()
        state = {key: value.numpy() for key, value in model.state_dict().items()}
        sampler = LayeredSampler(calorimeter, model.config.model_dump(), state)
        sees = sampler.layers(asked, np.full((4, 4), 0.3)).sees
        assert sees.shape == (4, 25, 6 + numbers + model.cells.latents)
        assert sees[..., 6 : 6 + numbers] == pytest.approx(learned, abs=1e-4)
        assert np.ptp(learned[:, 0, 1:], axis=0).min() > 0.1


def test_links_join_hits_to_all_cells_beside_them() -> None:
    """Against the definition, cell by cell, for hits of two showers."""
    grid = LayerGrid.of(load_detector("lcd-ecal-25").window(5, 5, "few"))
    group = np.arange(25) // 2
    field = Field(grid, group)
    torch.manual_seed(6)
    torch.nn.init.normal_(field.coupling)
    torch.nn.init.normal_(field.rings)
    logits, hit = torch.randn(25, 2, 25), torch.rand(25, 2, 25) < 0.2
    cell, shower, layer = hit.nonzero(as_tuple=True)
    hits = Hits(shower * 25 + layer, cell, torch.ones(len(cell)), logits.shape)
    assert torch.equal(hits.mask().view_as(hit), hit)
    weight = torch.rand(2, 25)
    pseudo, energy = 0.0, 0.0
    for c, b, k in product(range(25), range(2), range(25)):
        given = logits[c, b, k]
        for other in grid.beside[k, c]:
            if other >= 0 and hit[other, b, k]:
                coupling = field.couplings()[k, group[c]] + field.couplings()[k, group[other]]
                given = given + softplus(0.5 * (coupling - logits[c, b, k] - logits[other, b, k]))
        energy -= float(hit[c, b, k] * (logits[c, b, k] + given) / 2) / 2
        pseudo += float(weight[b, k] * (softplus(given) - hit[c, b, k] * given)) / 2
    assert float(field.pseudo(logits, hits, weight)) == pytest.approx(pseudo, rel=1e-4)
    assert float(field.energy(logits, hits)) == pytest.approx(energy, rel=1e-4)


def test_only_equal_cartesian_layers_have_a_margin() -> None:
    with pytest.raises(ConfigError, match="calogan-lar has not the same cartesian cells"):
        Frame(load_detector("calogan-lar"), ANGLED)


def test_expected_hits_and_moments_against_the_definition() -> None:
    """chi2 of a layer's hits and moments, worked out with plain arrays; no coupling."""
    calorimeter = load_detector("lcd-ecal-25").window(5, 5, "few")
    model = build_model("layered", calorimeter, {"encoder": [8], "decoder": [8]})
    assert isinstance(model, Layered)
    cells, grid = model.cells, model.frame.grid
    with torch.no_grad():
        cells.field.coupling.fill_(-100.0)
        cells.spectra.fit(np.linspace(0.1, 2, 2000, dtype=np.float32), 1e-3)
        torch.nn.init.normal_(cells.offset)
    rng = np.random.default_rng(3)
    energy = np.where(rng.random(25) < 0.5, rng.uniform(0.2, 1.5, 25), 0.0)
    cell = energy.nonzero()[0]
    row = torch.full((len(cell),), 7)
    size = torch.Size((25, 1, 25))
    deposit = torch.from_numpy(energy[cell]).float()
    hits = Hits(row, torch.from_numpy(cell), deposit, size)
    decoded, logits = torch.randn(25, 3, cells.groups), torch.randn(size)
    found = cells.misfit(decoded, logits, hits, model.moments(hits))
    chance = 1 / (1 + np.exp(-logits[:, 0, 7].numpy()))
    spread = (chance * (1 - chance)).sum() + 0.1
    chi2 = (chance.sum() - len(cell)) ** 2 / spread
    assert float(found["hits"].detach()) == pytest.approx(0.5 * chi2, rel=1e-4)
    said = (decoded[7, 1:, cells.group[cell]] + cells.offset[7, 1:, cell]).t()
    mean, variance = (value.detach().numpy() for value in cells.spectra.moments(said))
    e, x, y = energy[cell], grid.x[7, cell], grid.y[7, cell]
    x, y = x - (e @ x) / e.sum(), y - (e @ y) / e.sum()
    basis = [np.ones_like(x), x, y, x**2 - e @ x**2 / e.sum(), y**2 - e @ y**2 / e.sum()]
    chi2 = sum(((e - mean) @ b) ** 2 / (variance @ b**2 + 1e-3) for b in basis)
    assert float(found["moments"].detach()) == pytest.approx(0.5 * chi2, rel=1e-3)
