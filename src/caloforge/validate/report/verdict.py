"""The verdict: every figure beside its floor, in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

NEAR, VISIBLE, LARGE, UNKNOWN = "near the floor", "visible", "large", "not computed"
STATES = (NEAR, VISIBLE, LARGE, UNKNOWN)

NEAR_RATIO = 2.0
LARGE_RATIO = 10.0
LARGE_AUC = 0.75

SEPARATIONS = {
    "etot_over_einc": "response Etot/Einc",
    "hits": "number of hits",
    "depth": "mean depth",
    "layer_energy": "layer energies",
    "cell_energy": "cell energies",
    "centre_x": "layer centres in x",
    "centre_y": "layer centres in y",
    "centre_r": "layer centres in r",
    "width_x": "layer widths in x",
    "width_y": "layer widths in y",
    "width_r": "layer widths in r",
    "sparsity": "layer sparsity",
}
CLASSIFIERS = {
    "high": "network, high-level features",
    "high_trees": "boosted trees, high-level features",
    "low": "network, all cells",
}
RESPONSES = {"mean": "response against energy", "resolution": "resolution"}
PROFILES = {
    "longitudinal": "longitudinal profile",
    "radius": "radial profile",
    "x": "profile in x",
    "y": "profile in y",
}
CELLS = {"mean": "mean of single cells", "sigma": "spread of single cells"}


@dataclass(frozen=True)
class Row:
    """A line of the verdict: a figure, its floor, their ratio, and the words for it."""

    group: str
    label: str
    value: str
    floor: str
    ratio: str
    state: str
    hint: str = ""

    @property
    def css(self) -> str:
        """Class of the coloured word."""
        return ("near", "visible", "large", "unknown")[STATES.index(self.state)]


def _text(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}g}"


def _probability(value: float | None) -> str:
    return "< 1e-300" if value == 0 else _text(value, 2)


def _ratio_row(group: str, label: str, value: float | None, floor: float | None) -> Row:
    """A figure that is 0 for a perfect generator, judged by its ratio to the floor."""
    if value is None:
        return Row(group, label, "-", _text(floor), "-", UNKNOWN)
    if floor is None:
        return Row(group, label, _text(value), "-", "-", UNKNOWN, "no floor")
    ratio = value / floor if floor > 0 else (1.0 if value == 0 else float("inf"))
    state = NEAR if ratio <= NEAR_RATIO else VISIBLE if ratio <= LARGE_RATIO else LARGE
    shown = f"{ratio:.2f}" if ratio < LARGE_RATIO else f"{ratio:.0f}" if ratio < 1e6 else "-"
    return Row(group, label, _text(value), _text(floor), shown, state)


def _with_error(value: dict[str, Any]) -> str:
    if value["mean"] is None:
        return "-"
    error = "" if value["std"] is None else f" ± {value['std']:.3f}"
    return f"{value['mean']:.3f}{error}"


def _auc_row(label: str, value: dict[str, Any], floor: dict[str, Any] | None) -> Row:
    """Near: within two standard deviations of 0.5 or of the floor; large: above 0.75."""
    shown = _with_error(floor) if floor else "-"
    if value["mean"] is None:
        return Row("Classifier AUC", label, "-", shown, "-", UNKNOWN)
    base = max(0.5, (floor or {}).get("mean") or 0.5)
    limit = base + 2 * (value["std"] or 0.0)
    state = NEAR if value["mean"] <= limit else VISIBLE if value["mean"] < LARGE_AUC else LARGE
    return Row("Classifier AUC", label, _with_error(value), shown, "-", state)


def _copy_rows(value: dict[str, Any], floor: dict[str, Any] | None) -> list[Row]:
    base = floor or {}
    p, share = value["p_value"], value["fraction_copies"]
    states = [UNKNOWN, UNKNOWN]
    if p is not None:
        states[0] = NEAR if p > 1e-3 else VISIBLE if p > 1e-6 else LARGE
        states[1] = NEAR if share <= 0.005 else VISIBLE if share <= 0.02 else LARGE
    group = "Memorisation"
    hint = "below 0.001: nearer to the training showers than real ones are"
    return [
        Row(
            group,
            "p value, independent of training",
            _probability(p),
            _probability(base.get("p_value")),
            "-",
            states[0],
            hint,
        ),
        Row(
            group,
            "share of near copies",
            _text(share),
            _text(base.get("fraction_copies")),
            "-",
            states[1],
            "0.001 by chance",
        ),
    ]


def _diversity_row(value: float | None, floor: float | None) -> Row:
    state = UNKNOWN
    if value is not None:
        gap, allowed = abs(value - 1), max(0.02, NEAR_RATIO * abs((floor or 1.0) - 1))
        state = NEAR if gap <= allowed else VISIBLE if gap < 0.1 else LARGE
    hint = "1: as diverse as the reference; below 1: too much alike"
    return Row(
        "Diversity", "spread, generated / reference", _text(value), _text(floor), "-", state, hint
    )


def mean_error(rows: list[dict[str, Any]], key: str) -> float | None:
    """Mean |relative error| over the energy bins that have one."""
    known = [abs(row[f"{key}_rel_error"]) for row in rows if row[f"{key}_rel_error"] is not None]
    return sum(known) / len(known) if known else None


def verdict(metrics: dict[str, Any]) -> list[Row]:
    """All lines of the verdict, from a dictionary of ``validate``."""
    floor: dict[str, Any] = metrics["floor"] or {}
    rows = []
    for kind, label in CLASSIFIERS.items():
        rows.append(_auc_row(label, metrics["auc"][kind], floor.get("auc", {}).get(kind)))
    for key, label in SEPARATIONS.items():
        if key in metrics["separation"]:
            base = floor.get("separation", {}).get(key)
            rows.append(_ratio_row("Separation power", label, metrics["separation"][key], base))
    for key, label in RESPONSES.items():
        base = mean_error(floor["response"], key) if floor else None
        rows.append(
            _ratio_row("Mean |relative error|", label, mean_error(metrics["response"], key), base)
        )
    for key, label in PROFILES.items():
        base = floor["profiles"][key]["mean_rel_error"] if floor else None
        value = metrics["profiles"][key]["mean_rel_error"]
        rows.append(_ratio_row("Mean |relative error|", label, value, base))
    for key, label in CELLS.items():
        base = floor["cells"][f"{key}_rel_error"] if floor else None
        value = metrics["cells"][f"{key}_rel_error"]
        rows.append(_ratio_row("Mean |relative error|", label, value, base))
    rows.append(
        _ratio_row(
            "Correlations",
            "mean |difference|",
            metrics["correlation_difference"],
            floor.get("correlation_difference"),
        )
    )
    rows += _copy_rows(metrics["memorisation"], floor.get("memorisation"))
    rows.append(
        _diversity_row(metrics["diversity"]["ratio"], floor.get("diversity", {}).get("ratio"))
    )
    return rows


def headline(metrics: dict[str, Any], rows: list[Row]) -> str:
    """The verdict in a sentence or two."""
    counts = {state: sum(row.state == state for row in rows) for state in STATES}
    judged = len(rows) - counts[UNKNOWN]
    text = f"{counts[NEAR]} of {judged} figures lie near the floor"
    for state in (VISIBLE, LARGE):
        if counts[state]:
            text += f", {counts[state]} differ{'s' * (counts[state] == 1)} "
            text += "visibly" if state == VISIBLE else "strongly"
    known = [(metrics["auc"][k]["mean"], label) for k, label in CLASSIFIERS.items()]
    best = max(((m, label) for m, label in known if m is not None), default=None)
    if best:
        text += (
            f". The best classifier ({best[1]}) tells the samples apart with an AUC of "
            f"{best[0]:.3f} (0.5: not at all, 1: always)"
        )
    return text + "."
