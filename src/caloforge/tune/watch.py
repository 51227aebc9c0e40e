"""Who still works at a study: every runner counts in it, and one that stops is dead."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from optuna import Study

BEATS = "beat "
"""Goes before a runner's name in the study's attributes."""

BEAT = 15.0
"""Seconds between two signs of life."""

SILENCE = 300.0
"""A runner that has not counted for so many seconds is dead."""


class Watch:
    """Who still counts. Only this machine's clock is asked: clocks of others may differ."""

    def __init__(self, runner: str) -> None:
        self._runner = runner
        self._last = -math.inf
        self._seen: dict[str, tuple[Any, float]] = {}

    def count(self, study: Study) -> bool:
        """Write another number than before; False when it is not yet time to."""
        if time.monotonic() < self._last + BEAT:
            return False
        self._last = time.monotonic()
        study.set_user_attr(f"{BEATS}{self._runner}", time.time_ns())
        return True

    def dead(self, runner: str, attributes: Mapping[str, Any]) -> bool:
        """Whether ``runner`` has not counted for :data:`SILENCE` seconds, as seen from here."""
        now, beat = time.monotonic(), attributes.get(f"{BEATS}{runner}")
        known, since = self._seen.get(runner, (None, now))
        if runner not in self._seen or known != beat:
            self._seen[runner] = (beat, now)
            return False
        return now - since > SILENCE
