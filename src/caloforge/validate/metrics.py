"""All figures of two samples in one dictionary: ``metrics.json``, version 1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from caloforge.geometry import Calorimeter
from caloforge.observables import Floats
from caloforge.showers import Showers
from caloforge.validate.binning import Binning
from caloforge.validate.calochallenge.energies import energy_separation
from caloforge.validate.cells import cell_errors
from caloforge.validate.classifier import (
    classifier_tests,
    high_level_features,
    particle_transfer,
)
from caloforge.validate.classifier.area import MIN_SHOWERS
from caloforge.validate.condition_scan import condition_scan, scan_pull
from caloforge.validate.correlation import correlation_difference, varies_in_theta
from caloforge.validate.distributions import distributions
from caloforge.validate.diversity import diversity
from caloforge.validate.exchange import exchange
from caloforge.validate.feature_space import fpd, kpd, prdc, prdc_cells
from caloforge.validate.feature_space.arrays import standardise
from caloforge.validate.folded import Sums, folded
from caloforge.validate.jackknife import jackknife
from caloforge.validate.lookup import nested, put
from caloforge.validate.memorisation import Neighbours, data_copying, overlaps
from caloforge.validate.mode_coverage import mode_coverage
from caloforge.validate.profiles import (
    LATERAL,
    Profiles,
    Sum,
    lateral_edges,
    profile_difference,
    relative_difference,
)
from caloforge.validate.response import response, response_error
from caloforge.validate.response_fit import response_fit
from caloforge.validate.separation import separate
from caloforge.validate.ssim import ssim
from caloforge.validate.summary import Summary
from caloforge.validate.tails import tails
from caloforge.validate.threedgan import figure_of_merit

CONDITIONS: tuple[Literal["energy", "theta"], ...] = ("energy", "theta")
SCHEMA = 1
SEEDS = 5
SEEDS_QUICK = 2

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Setting:
    """What two comparisons must share to be comparable.

    ``edges`` (MeV): bins of incident energy; ``energies`` (MeV): those of 3DGAN's figure; ``half``:
    showers in half of the reference; ``seeds``: of the classifiers.
    """

    calorimeter: Calorimeter
    bins: Binning
    edges: Floats
    energies: Floats
    half: int
    seeds: int
    seed: int
    classifiers: bool


def profile_metrics(ref: Profiles, gen: Profiles, calorimeter: Calorimeter) -> dict[str, Any]:
    """Longitudinal and lateral profiles: summary and relative difference per bin."""

    def entry(ref: Sum, gen: Sum) -> dict[str, Any]:
        return {
            "mean_rel_error": profile_difference(ref, gen),
            "rel_difference": relative_difference(ref, gen),
        }

    result = {"longitudinal": entry(ref.longitudinal, gen.longitudinal)}
    for axis in LATERAL:
        edges = lateral_edges(calorimeter, axis)
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


def table_figures(reference: Sums, generated: Sums, setting: Setting) -> dict[str, Any]:
    """The figures that follow from sums over showers; the uncertainties repeat these."""
    power = separate(reference.histograms, generated.histograms)
    ref, gen = reference.table, generated.table
    rows = response(ref, gen, setting.edges)
    angle = varies_in_theta(ref) and varies_in_theta(gen)
    return {
        "separation": power.value,
        "separation_by_layer": power.by_layer,
        "separation_out_of_range": power.out_of_range,
        "response": rows,
        "response_error": response_error(rows),
        "profiles": profile_metrics(reference.profiles, generated.profiles, setting.calorimeter),
        "correlation_difference": correlation_difference(ref, gen),
        "cells": cell_errors(reference.profiles.cells, generated.profiles.cells),
        "threedgan": figure_of_merit(reference.near, generated.near, setting.energies, angle=angle),
        "notes": power.notes,
    }


def figures_with_errors(
    reference: Summary, generated: Summary, setting: Setting, *, floor: bool
) -> dict[str, Any]:
    """The figures of :func:`table_figures` with their ``errors``.

    Of two halves (``floor``) they are the means and standard deviations of :func:`exchange`.
    """
    ref, gen = (folded(each, setting.bins, setting.energies) for each in (reference, generated))

    def figures(first: Sums, second: Sums) -> dict[str, Any]:
        return table_figures(first, second, setting)

    result = figures(ref.sums(), gen.sums())
    if not floor:
        return result | {"errors": jackknife(ref, gen, figures)}
    means, deviations = exchange(ref, gen, figures, seed=setting.seed)
    for name, value in means.items():
        put(result, name, value)
    return result | {"errors": nested(deviations)}


def distribution_figures(
    reference: Summary, generated: Summary, setting: Setting
) -> dict[str, Any]:
    """Fits, tests of single distributions, tails, modes and scans over the conditions."""
    ref, gen = reference.observables, generated.observables
    rows = response(ref, gen, setting.edges)
    scans = {by: condition_scan(ref, gen, by=by) for by in CONDITIONS}
    return {
        "response_fit": response_fit(rows),
        "energy_separation": energy_separation(reference, generated),
        "distributions": distributions(reference, generated),
        "tails": tails(reference, generated),
        "modes": mode_coverage(ref, gen, seed=setting.seed),
        "scan": scans,
        "scan_pull": {by: scan_pull(rows) for by, rows in scans.items() if rows},
    }


def _alike(sample: Floats | Showers, setting: Setting) -> Any:
    """As many rows of features or whole showers as the halves of the floor have.

    Precision, recall and coverage depend on the number of showers: only so is the floor theirs.
    """
    if len(sample) <= setting.half:
        return sample
    rng = np.random.default_rng(setting.seed)
    return sample[np.sort(rng.permutation(len(sample))[: setting.half])]


def space_figures(reference: Summary, generated: Summary, setting: Setting) -> dict[str, Any]:
    """Distances in the space of the high-level features, of the cells, of the images."""
    ref, gen = high_level_features(reference), high_level_features(generated)
    seed = setting.seed
    result: dict[str, Any] = {"fpd": fpd(ref, gen, seed=seed), "kpd": kpd(ref, gen, seed=seed)}
    ref, gen = standardise(_alike(ref, setting), _alike(gen, setting))
    cells = [_alike(sample.kept, setting) for sample in (reference, generated)]
    result["prdc"] = {
        "high": prdc(ref, gen, seed=seed),
        "cells": prdc_cells(cells[0], cells[1], seed=seed),
    }
    return result | {"ssim": ssim(reference.kept, generated.kept, seed=seed)}


def compare(
    reference: Summary,
    generated: Summary,
    near: tuple[Neighbours | None, Neighbours | None],
    setting: Setting,
    progress: Progress,
    *,
    floor: bool = False,
) -> dict[str, Any]:
    """The figures of two samples; null figures have their reason under ``notes``.

    ``near`` holds the nearest training showers of the reference and of the generated sample;
    ``floor``: the samples are two halves of the reference.
    """
    progress("separation, response, profiles")
    result = figures_with_errors(reference, generated, setting, floor=floor)
    notes: dict[str, str] = dict(result.pop("notes"))
    progress("distributions, tails, modes")
    result |= distribution_figures(reference, generated, setting)
    progress("distances in feature space")
    result |= space_figures(reference, generated, setting)
    if setting.classifiers:
        progress("classifier tests")
        seeds, seed = setting.seeds, setting.seed
        result["auc"] = classifier_tests(reference, generated, seeds=seeds, seed=seed)
        result["transfer"] = particle_transfer(
            reference.kept, generated.kept, seeds=seeds, seed=seed
        )
    progress("memorisation and diversity")
    result["memorisation"] = memorisation_metrics(*near, notes)
    result["diversity"] = diversity(reference.kept, generated.kept, seed=setting.seed)
    _explain(result, notes)
    result["notes"] = notes
    return result


def _explain(result: dict[str, Any], notes: dict[str, str]) -> None:
    """Say why a figure is null, and warn where a figure hides something."""
    for kind, value in result.get("auc", {}).items():
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
    for key, least in (("fpd", "100 showers, or ten for each feature"), ("kpd", "20 showers")):
        if result[key]["value"] is None:
            notes[key] = f"fewer than {least}"
    if result["ssim"] is None:
        notes["ssim"] = "the layers differ in their cells: no images"
    if result["modes"]["ndb"] is None:
        notes["modes"] = "no energy bin holds enough showers to be cut into clusters"
    if result["tails"]["smallest_p_holm"] is None:
        notes["tails"] = "fewer than 1,000 reference showers: no tail of 1 % has ten of them"
    if result["threedgan"]["total"] is None:
        notes["threedgan"] = "no energy with showers that hold hits in both samples"
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
