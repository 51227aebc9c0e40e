"""What a study may change: keys of the recipe and the values they may take.

log:1e-5:1e-2     a number between two others, uniform in its logarithm
0.1:0.9           a number between two others
int:2:8           a whole number; int:16:128:16 in steps, int:log:1:100 uniform in the logarithm
relu|gelu|silu    one of these words or numbers (in YAML a list does as well)
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from caloforge.config import Recipe, changed_recipe
from caloforge.errors import ConfigError
from caloforge.models import model_kinds

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Value = float | int | str
"""What Optuna keeps of a value; a choice is kept as the YAML text that the recipe would have."""

_FORMS = "log:1e-5:1e-2, 0.1:0.9, int:2:8 or a|b|c"


@dataclass(frozen=True)
class Dimension:
    """One key of the recipe and its values: ``choices``, or from ``low`` to ``high``."""

    key: str
    spec: str
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    log: bool = False
    step: int = 1
    choices: tuple[str, ...] = ()

    @classmethod
    def parse(cls, key: str, spec: str | Sequence[Any]) -> Dimension:
        """Read ``log:1e-5:1e-2`` and the like.

        Raises:
            ConfigError: anything else.
        """
        if not isinstance(spec, str):
            spec = "|".join(map(_text, spec))
        if "|" in spec:
            choices = tuple(word.strip() for word in spec.split("|"))
            if len(set(choices)) < len(choices) or "" in choices:
                raise _wrong(key, spec, "give different words, none of them empty")
            return cls(key, spec, choices=choices)
        *words, last = spec.split(":")
        flags = []
        while words and words[0] in ("log", "int"):
            flags.append(words.pop(0))
        return cls._range(key, spec, set(flags), [*words, last])

    @classmethod
    def _range(cls, key: str, spec: str, flags: set[str], words: list[str]) -> Dimension:
        whole, log = "int" in flags, "log" in flags
        try:
            numbers = [int(word) if whole else float(word) for word in words]
        except ValueError:
            raise _wrong(key, spec, f"write {_FORMS}") from None
        if len(numbers) not in ((2, 3) if whole and not log else (2,)):
            raise _wrong(key, spec, f"write {_FORMS}")
        low, high = numbers[:2]
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise _wrong(key, spec, "the first number must be below the second")
        if log and low <= 0:
            raise _wrong(key, spec, "a logarithm needs numbers above 0")
        step = int(numbers[2]) if len(numbers) == 3 else 1
        if step < 1 or (whole and (high - low) % step):
            raise _wrong(key, spec, "the step must divide the range")
        return cls(key, spec, low, high, whole, log, step)

    @property
    def ends(self) -> list[Value]:
        """The values that must do in the recipe if all do."""
        return (
            list(self.choices) if self.choices else [self._number(v) for v in (self.low, self.high)]
        )

    def _number(self, value: float) -> float | int:
        return int(value) if self.whole else float(value)

    def distribution(self) -> BaseDistribution:
        """The same for Optuna."""
        from optuna.distributions import (
            CategoricalDistribution,
            FloatDistribution,
            IntDistribution,
        )

        if self.choices:
            return CategoricalDistribution(self.choices)
        if self.whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=self.step)
        return FloatDistribution(self.low, self.high, log=self.log)

    def in_recipe(self, value: Value) -> Any:
        """What stands in the recipe for a value of Optuna's."""
        return yaml.safe_load(str(value)) if self.choices else value

    def from_recipe(self, found: Any) -> Value:
        """The value of Optuna's for what stands in the recipe.

        Raises:
            ConfigError: it is none of the values of this dimension.
        """
        if self.choices:
            for choice in self.choices:
                if _same(yaml.safe_load(choice), found):
                    return choice
        elif isinstance(found, int | float) and not isinstance(found, bool):
            inside = self.low <= found <= self.high and (
                not self.whole or (found - self.low) % self.step == 0
            )
            if inside:
                return self._number(found)
        raise _wrong(
            self.key,
            self.spec,
            f"the recipe's own value is {found!r}, which is none of these, and every study begins "
            f"with the recipe as it is; widen the search, or set another value with "
            f"--set {self.key}=...",
        )


def _text(value: Any) -> str:
    """A value of a YAML list as the YAML text that means it."""
    if isinstance(value, str) and yaml.safe_load(value) == value:
        return value
    return json.dumps(value)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(other, list | tuple):
        return isinstance(one, list) and one == list(other)
    return bool(one == other) or str(one) == str(other)


def _wrong(key: str, spec: str, what: str) -> ConfigError:
    return ConfigError(f"--search {key}={spec}: {what}")


class Space:
    """All dimensions of a study, checked against the recipe.

    Args:
        recipe: what is tuned; its own section ``tune.search`` counts, too.
        words: ``key=spec`` of the command line, which come before the recipe's.

    Raises:
        ConfigError: nothing to search; a specification that cannot be read; a key or an end of its
            range that the recipe does not allow; a range without the recipe's own value.
    """

    def __init__(self, recipe: Recipe, words: Sequence[str] | Mapping[str, Any] = ()) -> None:
        specs: dict[str, Any] = {**recipe.tune.search, **_from_words(words)}
        if not specs:
            raise ConfigError(
                "nothing to search; give --search model.learning_rate=log:1e-5:1e-2 (and more), "
                "or a section 'tune: {search: {...}}' in the recipe"
            )
        self._base = recipe.model_copy(update={"tune": type(recipe.tune)()})
        self.dimensions = tuple(Dimension.parse(key, spec) for key, spec in specs.items())
        for dimension in self.dimensions:
            for value in dimension.ends:
                self._try(dimension, value)
        self.default: dict[str, Value] = {
            each.key: each.from_recipe(_recipe_value(self._base, each.key))
            for each in self.dimensions
        }

    def _try(self, dimension: Dimension, value: Value) -> None:
        try:
            found = self.recipe({dimension.key: value})
        except ConfigError as error:
            raise ConfigError(f"--search {dimension.key}={dimension.spec}: {error}") from error
        _recipe_value(found, dimension.key)

    @property
    def base(self) -> Recipe:
        """The recipe as it is, without its section ``tune``."""
        return self._base

    def distributions(self) -> dict[str, BaseDistribution]:
        """All dimensions for Optuna."""
        return {each.key: each.distribution() for each in self.dimensions}

    def recipe(self, params: Mapping[str, Value]) -> Recipe:
        """The recipe of a trial.

        Raises:
            ConfigError: the values do not go together.
        """
        known = {each.key: each for each in self.dimensions}
        return changed_recipe(self._base, {k: known[k].in_recipe(v) for k, v in params.items()})

    def to_dict(self) -> dict[str, str]:
        """From key to specification."""
        return {each.key: each.spec for each in self.dimensions}


def _from_words(words: Sequence[str] | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(words, Mapping):
        return dict(words)
    specs = {}
    for word in words:
        key, separator, spec = word.partition("=")
        if not separator or not key or not spec:
            raise ConfigError(f"--search {word}: write key=values, the values as {_FORMS}")
        specs[key.strip()] = spec.strip()
    return specs


def _recipe_value(recipe: Recipe, key: str) -> Any:
    """What a key of the recipe is, its default included."""
    section, _, rest = key.partition(".")
    found: Any = recipe
    path = key.split(".")
    if section == "model" and rest != "kind":
        found = model_kinds()[recipe.kind].config_class.model_validate(recipe.settings)
        path = path[1:]
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else getattr(found, name)
    return found
