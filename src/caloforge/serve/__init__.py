"""A trained model behind HTTP: KServe v2, streams of showers, a page to look at them."""

from caloforge.serve.app import create_app
from caloforge.serve.batcher import Batcher
from caloforge.serve.limits import Limits

__all__ = ["Batcher", "Limits", "create_app"]
