"""Before the first training: can the figures be computed, and where is their floor?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from caloforge.atomic import atomic_file
from caloforge.errors import ConfigError
from caloforge.tune.objective import Objective
from caloforge.tune.trial import TrialJob, judged

FILE = "floor.json"


def look_at_the_judge(
    job: TrialJob, folder: Path
) -> tuple[tuple[Objective, ...], list[float | None]]:
    """Judge the validation showers against themselves, once a study.

    Args:
        job: with objectives that have no parts yet.
        folder: of the study, which remembers the answer.

    Returns:
        The objectives with their parts, and of each the floor: what a perfect generator has with
        so many showers; None where there is none.

    Raises:
        ConfigError: a figure is unknown, or needs more showers.
    """
    asked = {"objectives": [each.text for each in job.objectives], "seed": job.seed}
    known = _known(folder / FILE, asked)
    if known is None:
        metrics = judged(job, job.validation)
        known = [_look(each.resolve(metrics), metrics) for each in job.objectives]
        with atomic_file(folder / FILE) as partial:
            partial.write_text(json.dumps({**asked, "known": known}) + "\n", encoding="utf-8")
    objectives = tuple(
        Objective(each.name, each.maximise, tuple(said["parts"]))
        for each, said in zip(job.objectives, known, strict=True)
    )
    return objectives, [said["floor"] for said in known]


def _known(file: Path, asked: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        return list(said["known"]) if all(said[k] == v for k, v in asked.items()) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _look(objective: Objective, metrics: Mapping[str, Any]) -> dict[str, Any]:
    floor = metrics.get("floor")
    try:
        value = objective.read(floor).value if floor else None
    except ConfigError:  # a figure of single samples
        value = None
    return {"parts": list(objective.parts), "floor": value}
