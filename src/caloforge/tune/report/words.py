"""Values and comparisons in words."""

from __future__ import annotations

import math

from caloforge.tune.results import Results, TrialRow
from caloforge.tune.space import Value


def number(value: float | None, error: float | None = None) -> str:
    """``0.0123 ± 0.0004``; a dash where there is nothing."""
    if value is None:
        return "-"
    return f"{value:.4g}" if error is None else f"{value:.4g} ± {error:.2g}"


def setting(value: Value) -> str:
    """A value of the search."""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def figures(results: Results, row: TrialRow) -> str:
    """All objectives of a trial."""
    return ", ".join(
        f"{objective.name} {number(value, error)}"
        for objective, value, error in zip(results.objectives, row.values, row.errors, strict=True)
    )


def counts(results: Results) -> str:
    """How many trials there are, of what kind."""
    kinds = [
        f"{results.count(state)} {state}"
        for state in ("complete", "pruned", "failed", "running")
        if results.count(state)
    ]
    return f"{len(results.trials)} trials ({', '.join(kinds)})"


def gain(results: Results, row: TrialRow) -> tuple[float, float | None] | None:
    """By how much a trial beats the recipe as it is in the first objective, and the uncertainty.

    Both are judged by the same showers, so the sum in quadrature is rather too large.
    """
    default = results.default
    if default is None or row.values[0] is None or default.values[0] is None:
        return None
    sign = 1.0 if results.objectives[0].maximise else -1.0
    difference = sign * (row.values[0] - default.values[0])
    errors = row.errors[0], default.errors[0]
    if errors[0] is None or errors[1] is None:
        return difference, None
    return difference, math.hypot(errors[0], errors[1])


def headline(results: Results) -> str:
    """The outcome in one or two sentences."""
    if not results.best:
        return f"{counts(results)}: none is complete, so there is no best recipe."
    if results.several:
        return (
            f"{counts(results)}; {len(results.best)} of them are not beaten in all objectives at "
            "once by any other."
        )
    best, default = results.row(results.best[0]), results.default
    found = f"Best is trial {best.number}: {figures(results, best)}"
    if default is None:
        return f"{found}; the recipe as it is failed."
    if best.number == default.number:
        return f"The recipe as it is was not beaten: {figures(results, best)}."
    difference = gain(results, best)
    assert difference is not None
    return (
        f"{found}; the recipe as it is has {figures(results, default)}. "
        f"Better by {number(*difference)}."
    )
