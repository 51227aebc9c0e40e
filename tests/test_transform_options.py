"""The words of the command line become steps in the documented order, or name the option."""

from __future__ import annotations

import math

import pytest

from caloforge.errors import ConfigError
from caloforge.transform import Cut, Pipeline, Rebin, Scale, Window, steps_from_options


def only_cut(text: str) -> Cut:
    (step,) = steps_from_options(cuts=[text]).steps
    assert isinstance(step, Cut)
    return step


def test_steps_come_in_the_documented_order() -> None:
    pipeline = steps_from_options(
        cuts=["h_over_e@17=:0.1", "energy=10:100", "hits=5:", "theta=60:120"],
        scale="0.5",
        threshold="0.1",
        recentre=True,
        window="25x25x0:20",
        rebin="par04-siw",
    )
    kinds = [step.kind for step in pipeline.steps]
    assert kinds == [
        "cut", "cut", "scale", "threshold", "recentre", "window", "rebin", "cut", "cut",
    ]  # fmt: skip
    cuts = [step.quantity for step in pipeline.steps if isinstance(step, Cut)]
    assert cuts == ["energy", "theta", "h_over_e", "hits"]
    assert pipeline.to_list()[5] == {"kind": "window", "nx": 25, "ny": 25, "layers": [0, 20]}
    assert steps_from_options() == Pipeline()


def test_units_are_those_of_the_command_line() -> None:
    assert (only_cut("energy=10:100").low, only_cut("energy=10:100").high) == (10e3, 100e3)
    assert only_cut("theta=60:120").high == math.radians(120)
    assert only_cut("phi=-90:").low == -math.pi / 2
    assert only_cut("opening_angle=0:0.01").high == 0.01
    assert only_cut("total_energy=50:").low == 50.0
    assert only_cut("x=-1.5:1.5").low == -1.5
    open_end = only_cut("h_over_e=:0.1")
    assert (open_end.low, open_end.high, open_end.hadronic_from) == (None, 0.1, None)
    assert only_cut("h_over_e@25=:1e-1").hadronic_from == 25


def test_values_of_one_layer_or_all() -> None:
    assert steps_from_options(scale="2.5").steps == (Scale(factor=2.5),)
    assert steps_from_options(scale=2.5, threshold=0.1).steps[0] == Scale(factor=2.5)
    assert steps_from_options(scale="1, 1,0.5").steps == (Scale(layers=(1.0, 1.0, 0.5)),)
    assert steps_from_options(window="5x7").steps == (Window(nx=5, ny=7),)
    matched = steps_from_options(rebin="lcd-ecal-25@match").steps
    assert matched == (Rebin(target="lcd-ecal-25", layers="match"),)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("cuts", ["energy"], "--cut energy: expected quantity=low:high"),
        ("cuts", ["energy=10"], "--cut energy=10: expected quantity=low:high"),
        ("cuts", ["energy=1:2:3"], "--cut energy=1:2:3: expected"),
        ("cuts", ["energy=:"], "--cut energy=:: cut: the cut on energy has no bound"),
        ("cuts", ["energy=a:"], "--cut energy=a:: 'a' is not a number"),
        ("cuts", ["energy=nan:"], "--cut energy=nan:: 'nan' is not a number"),
        ("cuts", ["energy=0:inf"], "'inf' is not a number"),
        ("cuts", ["hits=3:2"], "--cut hits=3:2: cut: the cut on hits keeps nothing"),
        ("cuts", ["colour=1:2"], "--cut colour=1:2: cut: quantity: unknown quantity 'colour'"),
        ("cuts", ["hits@3=1:2"], "--cut hits@3=1:2: cut: hadronic_from is for h_over_e"),
        ("scale", "0", "--scale 0: scale: factor: "),
        ("scale", "1,two", "--scale 1,two: 'two' is not a number"),
        ("scale", "1,-1", "--scale 1,-1: scale: layers: 1: "),
        ("threshold", "-1", "--threshold -1: threshold: energy: "),
        ("threshold", "x", "--threshold x: 'x' is not a number"),
        ("window", "25", "--window 25: expected cells in x and y, as in 25x25"),
        ("window", "25x25x3", "--window 25x25x3: expected"),
        ("window", "0x25", "--window 0x25: window: nx: "),
        ("window", "5x5x4:2", "--window 5x5x4:2: window: layers 4:2 are none"),
        ("rebin", "atlas", "--rebin atlas: unknown detector 'atlas'"),
        ("rebin", "lcd-ecal@colour", "--rebin lcd-ecal@colour: unknown detector"),
    ],
)
def test_wrong_values_name_the_option(option: str, value: str | list[str], message: str) -> None:
    words: dict[str, object] = {option: value}
    with pytest.raises(ConfigError) as caught:
        steps_from_options(**words)  # type: ignore[arg-type]
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
