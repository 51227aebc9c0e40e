"""The pipeline from the words of the command line.

Whatever their order there, the steps are applied so: cuts on the incident particle, scale,
threshold, recentre, window, rebin, cuts on the shower.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from caloforge.errors import ConfigError, GeometryError
from caloforge.transform.base import Step
from caloforge.transform.cut import Cut
from caloforge.transform.pipeline import Pipeline
from caloforge.transform.rebin import Rebin
from caloforge.transform.recentre import Recentre
from caloforge.transform.scale import Scale
from caloforge.transform.threshold import Threshold
from caloforge.transform.window import Window

UNITS: dict[str, Callable[[float], float]] = {
    "energy": lambda gev: 1000.0 * gev,
    "theta": math.radians,
    "phi": math.radians,
}
"""From the command line's unit (GeV, degrees) to ours; the others are MeV, mm, rad in both."""

_CUT = re.compile(r"([a-z_]+)(?:@(\d+))?=([^:]*):([^:]*)")
_WINDOW = re.compile(r"(\d+)x(\d+)(?:x(\d+):(\d+))?")


def steps_from_options(
    *,
    cuts: Sequence[str] = (),
    scale: str | float | None = None,
    threshold: str | float | None = None,
    recentre: bool = False,
    window: str | None = None,
    rebin: str | None = None,
) -> Pipeline:
    """The steps that the options of the command line ask for, in the order given above.

    Args:
        cuts: ``quantity=low:high``, either end may be open: ``energy=10:100`` (GeV),
            ``theta=60:120`` (degrees; phi too), ``total_energy=50:`` (MeV), ``h_over_e=:0.1``;
            ``h_over_e@25=:0.1`` says that layer 25 is the first hadronic one.
        scale: a factor for all cells, or one per layer as in ``1,1,0.5``.
        threshold: MeV.
        recentre: shift the showers to the middle.
        window: ``25x25`` cells, or with a range of layers ``25x25x0:20``.
        rebin: a detector or a YAML file; ``NAME@match`` goes by the layers' number.

    Raises:
        ConfigError: a value cannot be read, or the detector of ``rebin`` is unknown; names the
            option.
    """
    chosen = [_cut(text) for text in cuts]
    steps: list[Step] = [cut for cut in chosen if cut.on_incident]
    if scale is not None:
        steps.append(_scale(scale))
    if threshold is not None:
        with _named(f"--threshold {threshold}"):
            steps.append(Threshold(energy=_number(threshold)))
    if recentre:
        steps.append(Recentre())
    if window is not None:
        steps.append(_window(window))
    if rebin is not None:
        steps.append(_rebin(rebin))
    return Pipeline((*steps, *(cut for cut in chosen if not cut.on_incident)))


@contextmanager
def _named(option: str) -> Iterator[None]:
    """Put the option in front of what is wrong with it."""
    try:
        yield
    except (ConfigError, GeometryError) as error:
        raise ConfigError(f"{option}: {error}") from error


def _number(value: str | float) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"'{value}' is not a number; write one, as in 0.1")
    return number


def _cut(text: str) -> Cut:
    with _named(f"--cut {text}"):
        found = _CUT.fullmatch(text.strip())
        if found is None:
            raise ConfigError("expected quantity=low:high, as in energy=10:100 or h_over_e=:0.1")
        name, layer, *ends = found.groups()
        low, high = (UNITS.get(name, float)(_number(end)) if end.strip() else None for end in ends)
        first = None if layer is None else int(layer)
        return Cut(quantity=name, low=low, high=high, hadronic_from=first)


def _scale(value: str | float) -> Scale:
    with _named(f"--scale {value}"):
        factors = [_number(word) for word in str(value).split(",")]
        if len(factors) == 1:
            return Scale(factor=factors[0])
        return Scale(layers=tuple(factors))


def _window(text: str) -> Window:
    with _named(f"--window {text}"):
        found = _WINDOW.fullmatch(text.strip())
        if found is None:
            raise ConfigError("expected cells in x and y, as in 25x25, or 25x25x0:20 with layers")
        nx, ny, first, last = (None if word is None else int(word) for word in found.groups())
        return Window(nx=nx, ny=ny, layers=None if first is None else (first, last))


def _rebin(text: str) -> Rebin:
    with _named(f"--rebin {text}"):
        target = text.removesuffix("@match")
        return Rebin(target=target, layers="depth" if target == text else "match")
