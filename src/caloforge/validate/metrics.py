"""All figures of two samples in one dictionary: ``metrics.json``, version 1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from caloforge.validate.binning import Binning
from caloforge.validate.cells import cell_errors
from caloforge.validate.classifier import MIN_SHOWERS, classifier_tests
from caloforge.validate.correlation import correlation_difference
from caloforge.validate.diversity import diversity
from caloforge.validate.memorisation import Neighbours, data_copying, overlaps
from caloforge.validate.profiles import (
    LATERAL,
    Sum,
    lateral_edges,
    profile_difference,
    relative_difference,
)
from caloforge.validate.response import energy_edges, response, response_error
from caloforge.validate.separation import separation
from caloforge.validate.summary import Summary

SCHEMA = 1
SEEDS = 5
SEEDS_QUICK = 2

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Setting:
    """What two comparisons must share to be comparable."""

    bins: Binning
    seeds: int
    seed: int


def profile_metrics(reference: Summary, generated: Summary) -> dict[str, Any]:
    """Longitudinal and lateral profiles: summary and relative difference per bin."""

    def entry(ref: Sum, gen: Sum) -> dict[str, Any]:
        return {
            "mean_rel_error": profile_difference(ref, gen),
            "rel_difference": relative_difference(ref, gen),
        }

    ref, gen = reference.profiles, generated.profiles
    result = {"longitudinal": entry(ref.longitudinal, gen.longitudinal)}
    for axis in LATERAL:
        edges = lateral_edges(reference.calorimeter, axis)
        result[axis] = {"edges": edges.tolist(), **entry(ref.lateral[axis], gen.lateral[axis])}
    return result


def memorisation_metrics(
    reference: Neighbours | None, generated: Neighbours | None, notes: dict[str, str]
) -> dict[str, Any]:
    """The data-copying test, or null figures with the reason in ``notes``."""
    reason = ""
    if reference is None or generated is None:
        reason = "no training sample given"
    elif not len(reference.distance) or not len(generated.distance):
        reason = "no shower with hits in one of the samples"
    elif overlaps(reference.distance):
        reason = "the reference holds training showers; use a reference the model has not seen"
    if reason:
        notes["memorisation"] = reason
        return {"p_value": None, "fraction_copies": None}
    assert reference is not None
    assert generated is not None
    return data_copying(generated.distance, reference.distance)


def compare(
    reference: Summary,
    generated: Summary,
    near: tuple[Neighbours | None, Neighbours | None],
    setting: Setting,
    progress: Progress,
) -> dict[str, Any]:
    """The figures of two samples; null figures have their reason under ``notes``.

    ``near`` holds the nearest training showers of the reference and of the generated sample.
    """
    notes: dict[str, str] = {}
    progress("separation, response, profiles")
    power = separation(reference, generated, setting.bins)
    notes.update(power.notes)
    edges = energy_edges(reference.observables.energy)
    result: dict[str, Any] = {
        "separation": power.value,
        "separation_by_layer": power.by_layer,
        "separation_out_of_range": power.out_of_range,
        "response": response(reference.observables, generated.observables, edges),
        "response_error": {},
        "profiles": profile_metrics(reference, generated),
        "correlation_difference": correlation_difference(
            reference.observables, generated.observables
        ),
        "cells": cell_errors(reference.profiles.cells, generated.profiles.cells),
    }
    result["response_error"] = response_error(result["response"])
    progress("classifier tests")
    result["auc"] = classifier_tests(reference, generated, seeds=setting.seeds, seed=setting.seed)
    progress("memorisation and diversity")
    result["memorisation"] = memorisation_metrics(*near, notes)
    result["diversity"] = diversity(reference.kept, generated.kept, seed=setting.seed)
    _explain(result, notes)
    result["notes"] = notes
    return result


def _explain(result: dict[str, Any], notes: dict[str, str]) -> None:
    """Say why a figure is null, and warn where a figure hides something."""
    for kind, value in result["auc"].items():
        if value["mean"] is None:
            notes[f"auc.{kind}"] = f"fewer than {MIN_SHOWERS} showers a side"
    if result["correlation_difference"] is None:
        notes["correlation_difference"] = "fewer than two showers with hits in one of the samples"
    for key in ("mean_rel_error", "sigma_rel_error"):
        if result["cells"][key] is None:
            notes[f"cells.{key}"] = "no cell of the reference has energy, or none of it varies"
    for key, value in result["profiles"].items():
        if value["mean_rel_error"] is None:
            notes[f"profiles.{key}"] = "the reference holds no energy"
    if result["diversity"]["ratio"] is None:
        notes["diversity"] = "no energy bin with two different showers of both samples"
    if any(row["mean_rel_error"] is None for row in result["response"]):
        notes["response"] = "some energy bins hold no showers, or none with energy"
    for key, share in result["separation_out_of_range"].items():
        if share is not None and share > 0.01:
            notes[f"separation_out_of_range.{key}"] = (
                f"{100 * share:.1f} % of the generated entries lie outside the histogram and do "
                "not count in the separation power"
            )


def spectra_note(reference: Summary, generated: Summary) -> str | None:
    """A warning when the incident energies of two samples are not alike (KS test, p < 1e-3)."""
    from scipy.stats import ks_2samp

    a, b = reference.observables.energy, generated.observables.energy
    p = float(ks_2samp(a, b).pvalue)
    low = (float(a.min()), float(b.min()))
    high = (float(a.max()), float(b.max()))
    single = low[0] == high[0] or low[1] == high[1]
    if p > 1e-3 and not (single and (low[0], high[0]) != (low[1], high[1])):
        return None
    ranges = " against ".join(
        f"{first / 1e3:.4g} to {last / 1e3:.4g} GeV" for first, last in zip(low, high, strict=True)
    )
    return (
        f"the incident spectra differ (KS p = {p:.1e}; {ranges}): the figures mix physics with "
        "conditions; generate with the reference's energies"
    )


def plain(value: Any) -> Any:
    """JSON-ready copy: numpy numbers become Python's, and what is not finite becomes None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(item) for item in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value if value is None or isinstance(value, str) else str(value)
