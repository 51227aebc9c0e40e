"""From the store to training batches."""

from caloforge.data.batches import BatchPlan
from caloforge.data.sample import load_sample

__all__ = ["BatchPlan", "load_sample"]
