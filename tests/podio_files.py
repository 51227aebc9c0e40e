"""Small files with the branches of podio and EDM4hep, for the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

ENCODING = "system:8,barrel:3,module:4,layer:8,slice:5,x:32:-16,y:-16"
HITS = "ECalBarrelCollection"
STEPS = f"{HITS}Contributions"


def good() -> dict[str, dict[str, list[list[float]]]]:
    """Three events of 10 GeV photons along +x: layers at 1002.5, 1007.5, 1012.5 mm; no hit in one.

    The first hit has two contributions, at 1 and 50 ns; the other ones have one each.
    """
    x = [[1002.5, 1007.5, 1012.5], [], [1002.5, 1012.5]]
    zero = [[0.0] * len(row) for row in x]
    energy = [[0.004, 0.002, 0.001], [], [0.003, 0.0005]]
    one = [[1.0], [1.0], [1.0]]
    nothing = [[0.0], [0.0], [0.0]]
    step_x = [[1002.0, 1003.0, 1007.0, 1012.0], [], [1002.0, 0.0]]
    return {
        HITS: {
            "cellID": [[float(k << 15) for k in row] for row in ([3, 4, 5], [], [3, 5])],
            "energy": energy,
            "position.x": x,
            "position.y": zero,
            "position.z": zero,
            "contributions_begin": [[0, 2, 3], [], [0, 1]],
            "contributions_end": [[2, 3, 4], [], [1, 2]],
        },
        f"_{HITS}_contributions": {
            "index": [[1, 0, 2, 3], [], [0, 1]],
            "collectionID": [[7, 7, 7, 7], [], [7, 7]],
        },
        STEPS: {
            "energy": [[0.001, 0.003, 0.002, 0.001], [], [0.003, 0.0005]],
            "time": [[50.0, 1.0, 1.0, 1.0], [], [1.0, 1.0]],
            "stepPosition.x": step_x,
            "stepPosition.y": [[0.0] * len(row) for row in step_x],
            "stepPosition.z": [[0.0] * len(row) for row in step_x],
        },
        "MCParticles": {
            "PDG": [[22], [22], [22]],
            "generatorStatus": one,
            "mass": nothing,
            "vertex.x": nothing,
            "vertex.y": nothing,
            "vertex.z": nothing,
            "momentum.x": [[10.0], [10.0], [10.0]],
            "momentum.y": nothing,
            "momentum.z": nothing,
        },
    }


_TYPES = {
    "cellID": np.uint64,
    "PDG": np.int32,
    "generatorStatus": np.int32,
    "index": np.int32,
    "collectionID": np.uint32,
    "contributions_begin": np.uint32,
    "contributions_end": np.uint32,
}


def write_podio(path: Path, content: dict[str, dict[str, Any]], podio: bool = True) -> Path:
    """Write branches ``collection.field``, each with lists of its own."""
    branches = {
        f"{name}.{field}": ak.values_astype(ak.Array(rows), _TYPES.get(field, np.float64))
        for name, fields in content.items()
        for field, rows in fields.items()
        if rows is not None
    }
    with uproot.recreate(path) as file:
        if podio:
            file.mktree("podio_metadata", {"version": "int32"}).extend({"version": np.array([1])})
        file[f"{HITS}__CellIDEncoding"] = ENCODING
        kinds = {name: values.type.content for name, values in branches.items()}
        file.mktree("events", kinds).extend(branches)
    return path
