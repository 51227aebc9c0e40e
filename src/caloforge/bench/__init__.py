"""Benchmarks: every performance figure of the documentation comes from here."""

from caloforge.bench.generate import GEANT4, Timing, bench_generate, best_ratios
from caloforge.bench.io import IoResult, IoRow, bench_io
from caloforge.bench.serve import ServiceTiming, bench_serve
from caloforge.bench.simulate import SimulationTiming, bench_simulate
from caloforge.bench.train import TrainResult, bench_train

__all__ = [
    "GEANT4",
    "IoResult",
    "IoRow",
    "ServiceTiming",
    "SimulationTiming",
    "Timing",
    "TrainResult",
    "bench_generate",
    "bench_io",
    "bench_serve",
    "bench_simulate",
    "bench_train",
    "best_ratios",
]
