"""Observables: numbers computed from every shower alone, for any calorimeter.

All of them come from one compiled pass over the sparse hits (:func:`observables`). Divisions add
1e-16 to the denominator, as the CaloChallenge does, so that an empty shower gives 0 and never NaN.
"""

from caloforge.observables.axes import (
    AXES,
    Floats,
    cell_axis,
    layer_middles,
    measuring_layers,
)
from caloforge.observables.axes import TINY as TINY
from caloforge.observables.calogan import calogan_features
from caloforge.observables.compute import DECADES, observables
from caloforge.observables.layers import (
    containment_depth,
    deepest_layer,
    first_layer,
    layer_shares,
    maximum_layer,
)
from caloforge.observables.neighbours import hit_pairs
from caloforge.observables.single import (
    depth,
    depth_thirds,
    etot_over_einc,
    hits,
    layer_centre,
    layer_energy,
    layer_width,
    measured_theta,
    moments,
    share_within,
    sparsity,
    sparsity_curve,
    total_energy,
)
from caloforge.observables.table import Observables, Rows

__all__ = [
    "AXES",
    "DECADES",
    "Floats",
    "Observables",
    "Rows",
    "calogan_features",
    "cell_axis",
    "containment_depth",
    "deepest_layer",
    "depth",
    "depth_thirds",
    "etot_over_einc",
    "first_layer",
    "hit_pairs",
    "hits",
    "layer_centre",
    "layer_energy",
    "layer_middles",
    "layer_shares",
    "layer_width",
    "maximum_layer",
    "measured_theta",
    "measuring_layers",
    "moments",
    "observables",
    "share_within",
    "sparsity",
    "sparsity_curve",
    "total_energy",
]
