"""Generated showers beside the training showers that are most like them."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from caloforge.validate.comparison import Comparison, Judged
from caloforge.validate.report.figures.events import draw_pairs

TITLE = "Nearest training showers"
CAPTION = (
    "The generated showers that lie nearest to a training shower, each beside it, scaled as they "
    "are: they may be similar, but must not be copies (distance 0)."
)
MOST = 3


def draw(comparison: Comparison, judged: Judged) -> Figure:
    """Draw the figure."""
    near, training = judged.near, comparison.training
    assert near is not None
    assert training is not None
    pairs, titles = [], []
    for number in np.argsort(near.distance, kind="stable")[:MOST]:
        pairs.append((near.showers[[number]], training[[int(near.index[number])]]))
        energies = [float(s.incident.energy[0]) / 1e3 for s in pairs[-1]]
        titles.append(
            (
                f"{judged.label}, {energies[0]:.1f} GeV",
                f"nearest in training, {energies[1]:.1f} GeV, distance {near.distance[number]:.3f}",
            )
        )
    return draw_pairs(comparison.raster, pairs, titles)
