"""The exception tree of Caloforge.

    CaloforgeError              everything that Caloforge raises on purpose
    +-- UsageError              the request itself is wrong (exit code 2)
    |   +-- ConfigError         a recipe or an option: unknown key, wrong value
    |   +-- GeometryError       a calorimeter description is wrong, or two do not match
    +-- DataError               the showers are wrong (exit code 1)
    |   +-- FormatError         a file is foreign, truncated, or lacks a data set
    |   +-- ShowerError         NaN, negative energy, wrong shape, nothing there
    +-- ModelError              a model artifact is missing, damaged, or cannot do what is asked
    +-- TrainingError           training cannot go on (NaN loss, no usable data)
    +-- SimulationError         the simulator is missing, cannot start, or stopped
    +-- OutputError             the result cannot be written (missing folder, full disk)

    CaloforgeWarning            nothing is wrong with the result, but the reader should know

Every message is one line. It names the file, key, shape or flag, and ends with what to do next.
"""

from __future__ import annotations


class CaloforgeError(Exception):
    """Base of everything that Caloforge raises on purpose."""

    exit_code: int = 1


class UsageError(CaloforgeError):
    """The request itself is wrong."""

    exit_code = 2


class ConfigError(UsageError):
    """A recipe or an option is wrong."""


class GeometryError(UsageError):
    """A calorimeter description is wrong, or two calorimeters do not match."""


class DataError(CaloforgeError):
    """The showers are wrong."""


class FormatError(DataError):
    """A file is not what it should be."""


class ShowerError(DataError):
    """The content of a shower sample is wrong."""


class ModelError(CaloforgeError):
    """A model artifact is missing, damaged, or cannot do what is asked."""


class TrainingError(CaloforgeError):
    """Training cannot go on."""


class SimulationError(CaloforgeError):
    """The simulator is missing, cannot start, or stopped."""


class OutputError(CaloforgeError):
    """The result cannot be written."""


class CaloforgeWarning(UserWarning):
    """Something that the reader should know, though nothing failed."""


def one_line(error: BaseException) -> str:
    """The message of ``error`` on a single line, never empty."""
    return " ".join(str(error).split()) or type(error).__name__
