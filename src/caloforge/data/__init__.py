"""From the store to training batches."""

from caloforge.data.blocks import Block, BlockSource, MemoryBlocks
from caloforge.data.loader import Batch, ShowerLoader
from caloforge.data.order import BatchPlan
from caloforge.data.sample import load_sample
from caloforge.data.stored import StoredBlocks

__all__ = [
    "Batch",
    "BatchPlan",
    "Block",
    "BlockSource",
    "MemoryBlocks",
    "ShowerLoader",
    "StoredBlocks",
    "load_sample",
]
