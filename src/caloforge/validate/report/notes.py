"""The notes of a comparison in plain words."""

from __future__ import annotations

from typing import Any

from caloforge.validate.report.lines import CELLS, CLASSIFIERS, PROFILES, SEPARATIONS

OUTSIDE = "separation_out_of_range."
OUTSIDE_LABEL = "Outside the histograms, not counted in the separation powers"
LABELS = {
    "spectra": "Incident energies",
    "reference.empty": "Empty reference showers",
    "generated.empty": "Empty generated showers",
    "floor": "Floor",
    "response": "Response and resolution",
    "correlation_difference": "Correlations",
    "memorisation": "Memorisation",
    "diversity": "Diversity",
    "fpd": "Frechet physics distance",
    "kpd": "Kernel physics distance",
    "ssim": "Structural similarity",
    "modes": "Modes",
    "tails": "Tails",
    "threedgan": "3DGAN's figure of merit",
    **{f"separation.{key}": f"Separation power, {name}" for key, name in SEPARATIONS.items()},
    **{f"auc.{key}": f"Classifier AUC, {name}" for key, name in CLASSIFIERS.items()},
    **{f"profiles.{key}": name.capitalize() for key, name in PROFILES.items()},
    **{f"cells.{key}_rel_error": name.capitalize() for key, name in CELLS.items()},
}


def _percent(share: float) -> str:
    return f"{100 * share:.{0 if share >= 0.1 else 1}f} %"


def plain_notes(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """(label, text) of every note of a comparison; those on dropped entries share one line."""
    notes: dict[str, str] = figures["notes"]
    lines = [
        (LABELS.get(key, key), text) for key, text in notes.items() if not key.startswith(OUTSIDE)
    ]
    dropped = [key.removeprefix(OUTSIDE) for key in notes if key.startswith(OUTSIDE)]
    if dropped:
        shares = figures["separation_out_of_range"]
        parts = [f"{_percent(shares[key])} of the {SEPARATIONS.get(key, key)}" for key in dropped]
        lines.append((OUTSIDE_LABEL, ", ".join(parts)))
    return lines
