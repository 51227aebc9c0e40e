"""What happens to showers on their way in: voxelisation, cuts, windows, other cells."""

from caloforge.transform.tally import Tally
from caloforge.transform.voxelise import voxelise

__all__ = ["Tally", "voxelise"]
