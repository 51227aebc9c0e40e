"""Models that take over particles inside a full simulation."""

from caloforge.simulate.fast.choice import FastChoice, choices
from caloforge.simulate.fast.team import Team

__all__ = ["FastChoice", "Team", "choices"]
