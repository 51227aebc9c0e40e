"""From what a client sends to the particles of a model."""

from __future__ import annotations

import secrets
from typing import NamedTuple

import numpy as np

from caloforge.runtime.engine import Engine, condition_of
from caloforge.runtime.trained import outside, with_impact
from caloforge.serve.limits import Limits
from caloforge.serve.refusals import BAD, TOO_LARGE, RefusalError
from caloforge.showers import Incident

LARGEST_SEED = 2**63 - 1
LARGEST_NUMBER = 2**48
"""First shower numbers stay below: the noise counts in blocks of them."""


class Asked(NamedTuple):
    """Particles with the columns of the model, their seed and number; what to know about them."""

    incident: Incident
    seed: int
    first: int
    notes: list[str]


def asked(
    engine: Engine, incident: Incident, seed: int | None, first: int, limits: Limits
) -> Asked:
    """Complete and check the particles; without a seed, one is drawn.

    Raises:
        RefusalError: too many, or a seed out of range.
        ModelError: the model needs a column that is not there.
    """
    check_number(len(incident), limits)
    chosen = any_seed() if seed is None else seed
    if not 0 <= chosen <= LARGEST_SEED:
        raise RefusalError(BAD, f"seed {chosen}: give a whole number from 0 to {LARGEST_SEED}")
    if not 0 <= first <= LARGEST_NUMBER:
        raise RefusalError(BAD, f"first {first}: give a whole number from 0 to {LARGEST_NUMBER}")
    full = with_impact(engine, incident, chosen, first)
    with np.errstate(over="ignore"):  # infinite values are refused below
        condition = condition_of(engine, full)
    names = engine.description["condition"]
    columns = {name: condition[:, number] for number, name in enumerate(names)}
    return Asked(Incident({"energy": full.energy, **columns}), chosen, first, outside(engine, full))


def any_seed() -> int:
    """A seed that JSON and JavaScript can hold."""
    return secrets.randbelow(2**53)


def check_number(n: int, limits: Limits) -> None:
    """Refuse none and too many showers.

    Raises:
        RefusalError: naming the limit.
    """
    if n < 1:
        raise RefusalError(BAD, "no particles; give at least one energy")
    if n > limits.showers:
        raise RefusalError(
            TOO_LARGE, f"{n} showers in one request; at most {limits.showers}, ask several times"
        )
