"""From any format to any other, streaming, with what should happen on the way."""

from caloforge.conversion.check import FileCheck, check
from caloforge.conversion.run import Conversion, convert

__all__ = ["Conversion", "FileCheck", "check", "convert"]
