"""Full and classical simulation behind one interface, on one process or on many."""

from caloforge.simulate.base import Simulator
from caloforge.simulate.engines import ENGINES, open_simulator
from caloforge.simulate.to_store import simulate_to_store
from caloforge.transform import central_window

__all__ = ["ENGINES", "Simulator", "central_window", "open_simulator", "simulate_to_store"]
