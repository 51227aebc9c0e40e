"""Other formats, both ways: each source reads its files as showers and writes showers back."""

from caloforge.sources.base import ShowerWriter, Source, SourceReader
from caloforge.sources.convert import Conversion, convert
from caloforge.sources.registry import detect, get_source, source_names

__all__ = [
    "Conversion",
    "ShowerWriter",
    "Source",
    "SourceReader",
    "convert",
    "detect",
    "get_source",
    "source_names",
]
