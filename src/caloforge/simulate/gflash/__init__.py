"""GFlash: electromagnetic showers from the Grindhammer-Peters parameterisation.

G. Grindhammer and S. Peters, "The parameterized simulation of electromagnetic showers in
homogeneous and sampling calorimeters", hep-ex/0001020. No particle is tracked: a shower is a gamma
distribution in depth and two rings in radius, whose parameters fluctuate from shower to shower.
"""

from caloforge.simulate.gflash.simulator import GFlash
from caloforge.simulate.gflash.tuning import Tuning, tuning_for

__all__ = ["GFlash", "Tuning", "tuning_for"]
