"""Showers: sparse energy deposits in a known calorimeter, and what caused them."""

from caloforge.showers.incident import COLUMNS, Incident
from caloforge.showers.provenance import Provenance, file_digest, input_digests
from caloforge.showers.showers import Showers

__all__ = ["COLUMNS", "Incident", "Provenance", "Showers", "file_digest", "input_digests"]
