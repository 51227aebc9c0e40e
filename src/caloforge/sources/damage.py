"""Damaged files: whatever a file library raises on them becomes one clear error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from caloforge.errors import CaloforgeError, FormatError, one_line


@contextmanager
def damage(path: Path) -> Iterator[None]:
    """Turn any foreign exception of the block (struct, zlib, uproot, h5py) into a FormatError."""
    try:
        yield
    except CaloforgeError:
        raise
    except Exception as error:
        raise FormatError(
            f"{path}: damaged ({type(error).__name__}: {one_line(error)[:200]}); "
            "copy or make it again"
        ) from error
