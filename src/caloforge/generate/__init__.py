"""Generation: an engine, and showers streamed to the store."""

from caloforge.engines import ENGINES, TorchEngine, open_engine
from caloforge.generate.sharded import generate_sharded
from caloforge.generate.to_store import Generation, generate_to_store

__all__ = [
    "ENGINES",
    "Generation",
    "TorchEngine",
    "generate_sharded",
    "generate_to_store",
    "open_engine",
]
