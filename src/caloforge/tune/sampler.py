"""Which values a trial gets: TPE, seeded for every trial anew.

A sampler seeded once would repeat its first choices after every resume. Here the choice of a trial
depends on the seed, on its place in the study and on the finished trials alone, so a study that was
killed and resumed goes on as if nothing had happened.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

LOST = "lost"
"""A trial's attribute: its worker died; another trial has its place."""


class PlacedSampler(BaseSampler):
    """Tree-structured Parzen estimators (J. Bergstra et al., NeurIPS 2011; Optuna's TPE)."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._of: int | None = None
        self._sampler = TPESampler(seed=seed)

    def _for(self, study: Study, trial: FrozenTrial) -> TPESampler:
        if self._of != trial.number:
            seed = np.random.SeedSequence([self._seed, place(study, trial.number)])
            self._sampler = TPESampler(seed=int(seed.generate_state(1)[0]))
            self._of = trial.number
        return self._sampler

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """See Optuna's BaseSampler."""
        return self._for(study, trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """See Optuna's BaseSampler."""
        return self._for(study, trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """See Optuna's BaseSampler."""
        sampler = self._for(study, trial)
        return sampler.sample_independent(study, trial, param_name, param_distribution)


def place(study: Study, number: int) -> int:
    """How many trials that were not lost came before trial ``number``."""
    lost = sum(LOST in trial.user_attrs for trial in study.get_trials(deepcopy=False)[:number])
    return number - lost
