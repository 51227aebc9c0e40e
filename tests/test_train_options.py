"""Options of a training: parts of batches, averaged weights, repeatable, compiled networks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from caloforge.config import load_recipe
from caloforge.errors import ConfigError, TrainingError
from caloforge.models import ModelConfig, build_model
from caloforge.train import TrainingConfig, fit_model
from caloforge.train.averages import MovingAverage
from caloforge.train.networks import channels_last
from caloforge.train.precision import PROCESSOR_CHECKS, precision_here
from caloforge.train.turns import take_turns
from helpers import lcd_showers, random_showers
from toy_models import OneLoss, Toy, TwoNetworks

SHOWERS = random_showers(26)


def trained(
    folder: Path, toy: type[Toy] = OneLoss, *, resume: bool = False, **options: Any
) -> dict[str, torch.Tensor]:
    """The artifact's weights, in double precision."""
    torch.manual_seed(1)
    model = toy(SHOWERS.calorimeter, ModelConfig()).double()
    config = TrainingConfig(**{"batch_size": 12, "max_steps": 4, "accelerator": "cpu", **options})
    return load_file(
        fit_model(model, SHOWERS, config, folder, resume=resume) / "weights.safetensors"
    )


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor], tolerance: float) -> bool:
    return all(torch.allclose(v, b[k], rtol=tolerance, atol=tolerance) for k, v in a.items())


# ------------------------------------------------------------------ parts


@pytest.mark.parametrize("toy", [OneLoss, TwoNetworks])
def test_a_batch_in_parts_is_the_batch(tmp_path: Path, toy: type[Toy]) -> None:
    """Also for a GAN: no part goes behind an update before all have come to it."""
    whole = trained(tmp_path / "whole", toy)
    for parts in (2, 3):
        folder = tmp_path / str(parts)
        assert same(whole, trained(folder, toy, accumulate=parts), 1e-12)
        logs = [(f / "training" / "metrics.csv").read_text() for f in (tmp_path / "whole", folder)]
        one, two = (np.loadtxt(text.splitlines()[1:], delimiter=",") for text in logs)
        assert np.allclose(one, two, rtol=1e-12)


def test_mixed_precision_in_parts_too(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = OneLoss(SHOWERS.calorimeter, ModelConfig())
    seen: list[torch.dtype] = []
    model.decoder.register_forward_hook(lambda *args: seen.append(args[2].dtype))
    config = TrainingConfig(batch_size=12, max_steps=1, accumulate=2, precision="bf16-mixed")
    fit_model(model, SHOWERS, config, tmp_path / "m")
    assert seen == [torch.bfloat16] * 2


@pytest.mark.parametrize(
    ("processor", "accelerator", "gpu", "expected"),
    [
        (True, "cpu", False, "bf16-mixed"),
        (False, "cpu", False, "32-true"),
        (False, "cpu", True, "32-true"),
        (False, "auto", True, "bf16-mixed"),
        (True, "auto", False, "bf16-mixed"),
    ],
)
def test_bfloat16_where_the_machine_is_fast_with_it(
    monkeypatch: pytest.MonkeyPatch, processor: bool, accelerator: Any, gpu: bool, expected: str
) -> None:
    for name in PROCESSOR_CHECKS:
        monkeypatch.setattr(torch.cpu, name, lambda: processor, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    config = TrainingConfig(precision="auto", accelerator=accelerator)
    assert precision_here(config) == expected
    for said in ("32-true", "bf16-mixed"):
        assert precision_here(config.model_copy(update={"precision": said})) == said


def test_the_artifact_says_which_precision_it_was(tmp_path: Path) -> None:
    config = TrainingConfig(batch_size=12, max_steps=1, precision="auto", accelerator="cpu")
    model = OneLoss(SHOWERS.calorimeter, ModelConfig())
    folder = fit_model(model, SHOWERS, config, tmp_path / "m")
    source = json.loads((folder / "artifact.json").read_text())["provenance"]["source"]
    assert source["training_precision"] == precision_here(config)


def test_parts_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"accumulate=5.*12 showers"):
        trained(tmp_path / "m", accumulate=5)
    layered = build_model("layered", SHOWERS.calorimeter)
    with pytest.raises(ConfigError, match="sees a batch as a whole"):
        fit_model(layered, SHOWERS, TrainingConfig(batch_size=4, accumulate=2), tmp_path / "m")


def test_turns_go_from_wait_to_wait() -> None:
    said: list[str] = []

    def procedure(name: str) -> Callable[[Callable[[], None]], str]:
        def run(wait: Callable[[], None]) -> str:
            said.append(f"{name}1")
            wait()
            said.append(f"{name}2")
            wait()
            return name

        return run

    results = take_turns([procedure("a"), procedure("b")], lambda: said.append("|"))
    assert results == ["a", "b"]
    assert said == ["a1", "b1", "|", "a2", "b2", "|"]


@pytest.mark.parametrize("guilty", ["first", "second", "between"])
def test_an_error_ends_all_turns(guilty: str) -> None:
    ended: list[str] = []

    def procedure(name: str) -> Callable[[Callable[[], None]], None]:
        def run(wait: Callable[[], None]) -> None:
            try:
                if name == guilty:
                    raise ValueError(name)
                wait()
                pytest.fail("went on")
            finally:
                ended.append(name)

        return run

    def between() -> None:
        raise ValueError("between")

    with pytest.raises(ValueError, match=guilty):
        take_turns([procedure("first"), procedure("second")], between)
    assert sorted(ended) == (["first"] if guilty == "first" else ["first", "second"])


# ------------------------------------------------------------------ averages


def test_the_average_by_hand() -> None:
    layer = nn.BatchNorm1d(1)
    average = MovingAverage(layer, decay=0.2)
    value = layer.weight.item()
    for step, weight in enumerate((3.0, -1.0, 5.0)):
        with torch.no_grad():
            layer.weight.fill_(weight)
        layer.state_dict()["num_batches_tracked"].fill_(step)
        average.update(layer, step)
        decay = min(0.2, (1 + step) / (10 + step))  # 0.1, 0.1818, 0.2
        value = decay * value + (1 - decay) * weight
        assert average.state["weight"].item() == pytest.approx(value, rel=1e-6)
        assert average.state["num_batches_tracked"].item() == step
    assert layer.weight.item() == 5.0


def test_the_artifact_gets_the_average_and_a_resumed_run_the_same(tmp_path: Path) -> None:
    plain = trained(tmp_path / "plain", max_steps=6)
    averaged = trained(tmp_path / "averaged", max_steps=6, ema=0.9)
    assert not same(plain, averaged, 1e-3)
    checkpoint = load_file(tmp_path / "averaged" / "training" / "checkpoint.safetensors")
    for name, value in averaged.items():
        assert torch.equal(value, checkpoint[f"average/{name}"])
        assert torch.equal(plain[name], checkpoint[f"model/{name}"])
    trained(tmp_path / "torn", max_steps=2, ema=0.9)
    again = trained(tmp_path / "torn", max_steps=6, ema=0.9, resume=True)
    assert all(torch.equal(value, again[name]) for name, value in averaged.items())
    with pytest.raises(TrainingError, match=r"ema was 0\.9, now None"):
        trained(tmp_path / "torn", max_steps=7, resume=True)
    with pytest.raises(TrainingError, match=r"ema was None, now 0\.9"):
        trained(tmp_path / "plain", max_steps=7, ema=0.9, resume=True)


# ------------------------------------------------------------------ repeatable, compiled, order


def test_deterministic_mode_is_on_in_the_training_and_only_there(tmp_path: Path) -> None:
    class Watched(OneLoss):
        def training_step(self, *args: Any) -> dict[str, torch.Tensor]:
            modes.append(torch.are_deterministic_algorithms_enabled())
            return super().training_step(*args)

    modes: list[bool] = []
    one, two = (trained(tmp_path / n, Watched, deterministic=True) for n in ("one", "two"))
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    assert modes == [True] * 8
    assert not torch.are_deterministic_algorithms_enabled()


def test_an_operation_that_is_not_deterministic_is_explained(tmp_path: Path) -> None:
    class Loose(OneLoss):
        def training_step(self, *args: Any) -> dict[str, torch.Tensor]:
            torch.empty(10).put_(torch.tensor([1]), torch.ones(1))  # torch has no such variant
            return super().training_step(*args)

    with pytest.raises(TrainingError, match=r"training\.deterministic=true: .*set it to false"):
        trained(tmp_path / "m", Loose, deterministic=True)
    trained(tmp_path / "n", Loose)


def test_compiled_networks_learn_the_same(tmp_path: Path) -> None:
    class Small(OneLoss):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.encoder = nn.Sequential(nn.Flatten())
            self.decoder = nn.Linear(SHOWERS.calorimeter.n_cells, SHOWERS.calorimeter.n_cells)

    plain = trained(tmp_path / "plain", Small, max_steps=2)
    compiled = trained(tmp_path / "compiled", Small, max_steps=2, compile=True)
    assert same(plain, compiled, 1e-9)


def test_no_compiler_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ConfigError, match=r"training.compile=true needs a C\+\+ compiler"):
        trained(tmp_path / "m", compile=True)


def test_channels_last_keeps_the_numbers(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv3d(3, 4, 2), nn.Linear(3, 4))
    before = [p.detach().clone() for p in network.parameters()]
    channels_last(network)
    flat, deep = (dict(network.named_parameters())[f"{k}.weight"] for k in (0, 1))
    assert flat.is_contiguous(memory_format=torch.channels_last)
    assert deep.is_contiguous(memory_format=torch.channels_last_3d)
    assert all(map(torch.equal, before, network.parameters()))
    assert same(trained(tmp_path / "a"), trained(tmp_path / "b", channels_last=True), 1e-12)


@pytest.mark.parametrize("option", ["ema=1.0", "accumulate=0", "devices=0", "compile=perhaps"])
def test_wrong_options_are_named(option: str) -> None:
    with pytest.raises(ConfigError, match=option.partition("=")[0]):
        load_recipe("3dgan", [f"training.{option}"])


def test_too_many_processes_for_a_machine_without_so_many_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    model = build_model("3dgan", lcd_showers(1).calorimeter)
    config = TrainingConfig(batch_size=2, accelerator="gpu")
    with pytest.raises(ConfigError, match="sees no GPU"):
        fit_model(model, lcd_showers(3), config, tmp_path / "m")
