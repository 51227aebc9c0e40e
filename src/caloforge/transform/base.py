"""What every step of the preprocessing does: showers in, showers out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from caloforge.errors import ConfigError
from caloforge.geometry import Calorimeter
from caloforge.showers import Showers
from caloforge.transform.tally import Tally


class Step(BaseModel, ABC):
    """One thing that happens to every shower, alone: no shower depends on its neighbours.

    A step is frozen, can be pickled, and gives the same showers in any batches. The provenance of
    the showers stays that of the input; who writes them down adds :meth:`to_dict`.

    Raises:
        ConfigError: an unknown field or a value that makes no sense.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: ClassVar[str]

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            first = error.errors()[0]
            where = "".join(f"{part}: " for part in first["loc"])
            message = first["msg"].removeprefix("Value error, ")
            raise ConfigError(f"{self.kind}: {where}{message}; correct this value") from error

    def calorimeter(self, before: Calorimeter) -> Calorimeter:
        """The cells after the step, for showers in ``before``.

        Raises:
            GeometryError: the step cannot work on this calorimeter.
        """
        return before

    @abstractmethod
    def apply(self, showers: Showers, tally: Tally) -> Showers:
        """The showers after the step; ``tally`` counts what came in and what was lost.

        Raises:
            GeometryError: the step cannot work on this calorimeter.
            ShowerError: the showers lack what the step needs.
        """

    def note(self, tally: Tally) -> str | None:
        """One sentence on what was lost, None when nothing was."""
        return tally.note(self.kind)

    def to_dict(self) -> dict[str, Any]:
        """``kind`` and the fields that differ from their defaults, JSON-ready."""
        return {"kind": self.kind, **self.model_dump(mode="json", exclude_defaults=True)}
