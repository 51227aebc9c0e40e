"""Random numbers and batch norms that do not depend on how a batch is shared out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from caloforge.models import draws, keras
from caloforge.models.shared_norm import share_statistics


def shares(monkeypatch: pytest.MonkeyPatch, call: Callable[[int], torch.Tensor]) -> torch.Tensor:
    """What three processes, each in two parts, draw for the twelve rows of a batch."""
    rows = []
    for rank in range(3):
        monkeypatch.setattr(draws, "share", lambda rank=rank: (rank, 3))
        for part in range(2):
            with draws.one_part(part, 2):
                torch.manual_seed(5)
                rows.append(call(2))
    monkeypatch.setattr(draws, "share", lambda: (0, 1))
    return torch.cat(rows)


@pytest.mark.parametrize(
    "call",
    [
        lambda n: draws.normal(n, 3),
        lambda n: draws.uniform(n),
        lambda n: draws.integers(1000, n, 2, 2),
        lambda n: draws.words16(n, 37),
        lambda n: keras.Dropout(0.4)(torch.ones(n, 2, 3, 4, 5)),
        lambda n: keras.Dropout(0.4)(
            torch.ones(n, 2, 3, 4, 5).to(memory_format=torch.channels_last_3d)
        ),
        lambda n: torch.cat([keras.Dropout(0.5)(torch.ones(n, 7)), draws.normal(n, 7)], 1),
    ],
)
def test_rows_are_those_of_the_whole_batch(
    monkeypatch: pytest.MonkeyPatch, call: Callable[[int], torch.Tensor]
) -> None:
    torch.manual_seed(5)
    whole = call(12)
    assert len(whole) == 12
    assert len(np.unique(whole.numpy(), axis=0)) > 10
    assert torch.equal(shares(monkeypatch, call), whole)


def test_words_are_uniform_and_follow_the_seed() -> None:
    torch.manual_seed(1)
    words = draws.words16(50, 4001).numpy().astype(float)
    assert words.shape == (50, 4001)
    assert words.mean() == pytest.approx(-0.5, abs=4 * 2**16 / np.sqrt(12 * words.size))
    counts = np.bincount(((words.ravel() + 2**15) // 2**12).astype(int), minlength=16)
    expected = words.size / 16
    assert ((counts - expected) ** 2 / expected).sum() < 15 + 5 * np.sqrt(30)
    torch.manual_seed(1)
    assert np.array_equal(draws.words16(50, 4001).numpy(), words)
    assert not np.array_equal(draws.words16(50, 4001).numpy(), words)


def test_the_mask_of_devices_that_cannot_skip_differs_between_shares(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def call(n: int) -> torch.Tensor:
        return torch.empty(n, 50).bernoulli_(0.5, generator=draws.generator(n, "cpu"))

    masks = shares(monkeypatch, call)
    assert len(np.unique(masks.numpy(), axis=0)) == 12
    assert torch.equal(masks, shares(monkeypatch, call))


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(3), nn.BatchNorm3d(3), keras.batch_norm(3)])
def test_a_shared_batch_norm_is_the_same_alone(layer: nn.Module) -> None:
    shape = (6, 3) if isinstance(layer, nn.BatchNorm1d) else (6, 3, 2, 4, 5)
    shared = type(layer)(3, eps=layer.eps, momentum=layer.momentum)
    share_statistics(nn.Sequential(shared))
    assert isinstance(shared, type(layer))
    assert list(shared.state_dict()) == list(layer.state_dict())
    for _ in range(2):
        x = torch.randn(shape)
        assert torch.equal(shared(x), layer(x))
    assert torch.equal(shared.eval()(x), layer.eval()(x))
    assert all(map(torch.equal, shared.state_dict().values(), layer.state_dict().values()))
