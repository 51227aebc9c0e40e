"""Minibatch discrimination: its definition, and the same with one process or two."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from caloforge.models.minibatch import MinibatchDiscrimination


def test_the_published_features() -> None:
    torch.manual_seed(0)
    layer = MinibatchDiscrimination(5, features=3, dimension=4)
    x = torch.randn(6, 5)
    tensor = np.einsum("bd,fdv->bfv", x.numpy(), layer.weight.detach().numpy())
    expected = np.zeros((6, 3))
    for i in range(6):
        for j in range(6):
            expected[i] += np.exp(-np.abs(tensor[i] - tensor[j]).sum(axis=1))
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-5)
    assert sum(p.numel() for p in layer.parameters()) == 5 * 3 * 4


def test_equal_showers_are_as_near_as_can_be() -> None:
    layer = MinibatchDiscrimination(5)
    x = torch.zeros(7, 5, requires_grad=True)
    features = layer(x)
    assert torch.equal(features, torch.full((7, 10), 7.0))
    features.sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    apart = layer(1e4 * torch.eye(5))
    assert torch.allclose(apart, torch.ones(5, 10))


def test_low_precision_outside_does_not_matter() -> None:
    layer = MinibatchDiscrimination(5)
    x = torch.randn(6, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer(x), layer(x.clone()))
        mixed = layer(x)
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, layer(x))


PROCESS = """
import json, sys
import torch
from torch import distributed
from caloforge.models.minibatch import MinibatchDiscrimination
rank, meeting = int(sys.argv[1]), sys.argv[2]
distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
torch.manual_seed(0)
layer = MinibatchDiscrimination(5, 3, 4)
x, weight = torch.randn(6, 5), torch.randn(6, 3)
mine = slice(3 * rank, 3 * rank + 3)
part = x[mine].requires_grad_()
features = layer(part)
(features * weight[mine]).sum().backward()
distributed.all_reduce(layer.weight.grad)
print(json.dumps([features.tolist(), part.grad.tolist(), layer.weight.grad.tolist()]))
distributed.destroy_process_group()
"""


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without distributed")
def test_two_processes_see_one_batch(tmp_path: Path) -> None:
    """Features and gradients of 2 x 3 showers are those of 6 in one process."""
    command = [sys.executable, "-c", PROCESS]
    running = [
        subprocess.Popen([*command, str(rank), str(tmp_path / "meet")], stdout=subprocess.PIPE)
        for rank in range(2)
    ]
    said = [json.loads(process.communicate(timeout=120)[0]) for process in running]
    torch.manual_seed(0)
    layer = MinibatchDiscrimination(5, 3, 4)
    x, weight = torch.randn(6, 5, requires_grad=True), torch.randn(6, 3)
    features = layer(x)
    (features * weight).sum().backward()
    assert layer.weight.grad is not None
    assert x.grad is not None
    for found, expected in ((0, features), (1, x.grad)):
        rows = torch.cat([torch.tensor(part[found]) for part in said])
        assert torch.allclose(rows, expected, rtol=1e-5, atol=1e-6)
    for part in said:
        assert torch.allclose(torch.tensor(part[2]), layer.weight.grad, rtol=1e-5, atol=1e-5)
