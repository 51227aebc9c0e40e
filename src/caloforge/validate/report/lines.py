"""The lines of the verdict: which figures it shows, under which words, judged by which rule."""

from __future__ import annotations

from dataclasses import dataclass

SEPARATIONS = {
    "etot_over_einc": "response Etot/Einc",
    "hits": "number of hits",
    "hit_pairs": "hits that touch",
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
    "low_normed": "network, all cells over their layer",
}
RESPONSES = {"mean": "response against energy", "resolution": "resolution"}
PROFILES = {
    "longitudinal": "longitudinal profile",
    "radius": "radial profile",
    "x": "profile in x",
    "y": "profile in y",
}
SCANS = {"energy": "energy by energy", "theta": "angle by angle"}
TRANSFERS = {
    "reference_generated": "trained on the reference, tested on generated",
    "generated_reference": "trained on generated, tested on the reference",
}
SPACES = {"high": "high-level features", "cells": "all cells"}
CELLS = {"mean": "mean of single cells", "sigma": "spread of single cells"}


@dataclass(frozen=True)
class Line:
    """A figure by its name in ``metrics.json``; ``judge``: a key of ``judges.JUDGES``."""

    name: str
    group: str
    label: str
    judge: str = "ratio"
    hint: str = ""


LINES: tuple[Line, ...] = (
    *(Line(f"auc.{k}", "Classifier AUC", label, "auc") for k, label in CLASSIFIERS.items()),
    Line("fpd", "Distance in feature space", "Frechet physics distance", "excess"),
    Line("kpd", "Distance in feature space", "kernel physics distance", "excess"),
    *(
        Line(f"prdc.{space}.{key}", "Precision and coverage", f"{key}, {words}", "lack")
        for space, words in SPACES.items()
        for key in ("precision", "recall", "density", "coverage")
    ),
    *(
        Line(f"separation.{k}", "Separation power", label, "separation")
        for k, label in SEPARATIONS.items()
    ),
    *(
        Line(f"response_error.{k}", "Mean |relative error|", label)
        for k, label in RESPONSES.items()
    ),
    *(
        Line(f"profiles.{k}.mean_rel_error", "Mean |relative error|", label)
        for k, label in PROFILES.items()
    ),
    *(Line(f"cells.{k}_rel_error", "Mean |relative error|", label) for k, label in CELLS.items()),
    Line("threedgan.total", "Mean |relative error|", "3DGAN's figure of merit"),
    *(
        Line(f"scan_pull.{by}.{key}", "Scan", f"pulls of the {key}s, {words}")
        for by, words in SCANS.items()
        for key in ("mean", "width")
    ),
    *(
        Line(f"transfer.auc.{key}", "Particle transfer", f"AUC, {words}", "lack")
        for key, words in TRANSFERS.items()
    ),
    Line(
        "ssim.1e-2",
        "Structural similarity",
        "difference",
        "zero",
        "of pairs generated - reference and reference - reference",
    ),
    Line("correlation_difference", "Correlations", "mean |difference|"),
    Line(
        "distributions.smallest.p_holm",
        "Single distributions",
        "smallest p value of all KS tests",
        "p",
        "corrected for their number",
    ),
    Line(
        "tails.smallest_p_holm",
        "Single distributions",
        "smallest p value of all tails",
        "p",
        "corrected for their number",
    ),
    Line(
        "modes.ndb_p_value",
        "Diversity",
        "p value, number of unequal modes",
        "p",
        "clusters of like showers inside bins of energy",
    ),
    Line("modes.jsd_p_value", "Diversity", "p value, modes equally full", "p"),
    Line(
        "memorisation.p_value",
        "Memorisation",
        "p value, independent of training",
        "p",
        "below 0.001: nearer to the training showers than real ones are",
    ),
    Line(
        "memorisation.fraction_copies",
        "Memorisation",
        "share of near copies",
        "copies",
        "0.001 by chance",
    ),
    Line(
        "diversity.ratio",
        "Diversity",
        "spread, generated / reference",
        "one",
        "1: as diverse as the reference; below 1: too much alike",
    ),
)
