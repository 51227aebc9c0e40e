"""The layout of a store file, in one place.

/showers/offset   u8 (n + 1,)   first hit of every shower, then the number of hits
/showers/cell     u4 (hits,)    cell number, increasing inside a shower
/showers/energy   f4 (hits,)    deposit, MeV
/incident/NAME    f8 or i4 (n,) one data set per known column of the incident table
attributes        schema = 1, geometry (YAML), provenance (JSON), caloforge (version)
"""

from __future__ import annotations

SCHEMA = 1

OFFSET = "showers/offset"
CELL = "showers/cell"
ENERGY = "showers/energy"
INCIDENT = "incident"

SUFFIXES = (".h5", ".hdf5")

HIT_CHUNK = 1 << 15
"""Hits per chunk: about 40 showers of lcd-ecal, 128 KiB; small chunks read fast in parts."""

ROW_CHUNK = 1 << 10
"""Showers per chunk of the per-shower columns."""
