"""Normalising flows: couplings in one pass, and flow matching along a differential equation."""

from caloforge.models.flows.coupling import CouplingFlow
from caloforge.models.flows.matching import FlowMatching

__all__ = ["CouplingFlow", "FlowMatching"]
