"""Whatever a file library raises on bad content becomes one clear error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from caloforge.errors import CaloforgeError, FormatError, one_line

_LONGEST = 200
"""Characters of a foreign message that are passed on."""


@contextmanager
def damage_errors(path: Path, what: str = "damaged or of an unknown kind") -> Iterator[None]:
    """Turn foreign exceptions into a FormatError; ours pass.

    Raises:
        FormatError: names the file, and what the library said.
    """
    try:
        yield
    except CaloforgeError:
        raise
    except Exception as error:  # the libraries and their decoders raise nearly everything
        said = one_line(error)[:_LONGEST]
        raise FormatError(f"{path}: {what} ({said}); copy or make it again") from error
