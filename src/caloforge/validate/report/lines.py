"""The lines of the verdict: which figures it shows, under which words, judged by which rule."""

from __future__ import annotations

from dataclasses import dataclass

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
class Line:
    """A figure by its name in ``metrics.json``; ``judge``: ratio, auc, p, copies or one."""

    name: str
    group: str
    label: str
    judge: str = "ratio"
    hint: str = ""


LINES: tuple[Line, ...] = (
    *(Line(f"auc.{k}", "Classifier AUC", label, "auc") for k, label in CLASSIFIERS.items()),
    *(Line(f"separation.{k}", "Separation power", label) for k, label in SEPARATIONS.items()),
    *(
        Line(f"response_error.{k}", "Mean |relative error|", label)
        for k, label in RESPONSES.items()
    ),
    *(
        Line(f"profiles.{k}.mean_rel_error", "Mean |relative error|", label)
        for k, label in PROFILES.items()
    ),
    *(Line(f"cells.{k}_rel_error", "Mean |relative error|", label) for k, label in CELLS.items()),
    Line("correlation_difference", "Correlations", "mean |difference|"),
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
