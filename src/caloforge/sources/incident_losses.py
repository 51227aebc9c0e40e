"""Which columns of an incident table a format without a place for them loses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from caloforge.showers import Incident

_ABSENT = {"theta": np.pi / 2, "phi": 0.0, "x": 0.0, "y": 0.0, "z": 0.0}
"""What a missing column means: a column full of it loses nothing."""


def not_carried(format_name: str, incident: Incident, columns: Sequence[str]) -> list[str]:
    """One sentence for every column of ``columns`` whose values ``format_name`` loses."""
    lost = []
    for name in columns:
        if name not in incident:
            continue
        if name in _ABSENT and np.allclose(incident[name], _ABSENT[name], rtol=0, atol=1e-6):
            continue
        what = f"{name} (particle code)" if name == "pdg" else name
        lost.append(f"{format_name} cannot carry {what}: dropped")
    return lost
