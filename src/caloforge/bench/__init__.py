"""Benchmarks: every performance figure of the documentation comes from here."""

from caloforge.bench.generate import GEANT4, Timing, bench_generate

__all__ = ["GEANT4", "Timing", "bench_generate"]
