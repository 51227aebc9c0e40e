"""Generation: incident particles, an engine, and showers streamed to the store."""

from caloforge.generate.engines import ENGINES, TorchEngine, open_engine
from caloforge.generate.particles import like, particles
from caloforge.generate.to_store import Generation, generate_to_store

__all__ = [
    "ENGINES",
    "Generation",
    "TorchEngine",
    "generate_to_store",
    "like",
    "open_engine",
    "particles",
]
