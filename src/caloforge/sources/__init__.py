"""The file formats of the field, all through one contract."""

from caloforge.sources.base import ReadOptions, ShowerWriter, Source, SourceReader
from caloforge.sources.registry import detect, get_source, source_names

__all__ = [
    "ReadOptions",
    "ShowerWriter",
    "Source",
    "SourceReader",
    "detect",
    "get_source",
    "source_names",
]
