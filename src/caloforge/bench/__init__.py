"""Benchmarks: every performance figure of the documentation comes from here."""

from caloforge.bench.generate import GEANT4, Timing, bench_generate
from caloforge.bench.simulate import SimulationTiming, bench_simulate

__all__ = ["GEANT4", "SimulationTiming", "Timing", "bench_generate", "bench_simulate"]
