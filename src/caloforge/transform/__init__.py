"""What happens to showers on their way in: voxelisation, cuts, windows, other cells."""

from caloforge.transform.base import Step
from caloforge.transform.cut import Cut
from caloforge.transform.fingerprint import fingerprint
from caloforge.transform.from_options import steps_from_options
from caloforge.transform.pipeline import Pipeline
from caloforge.transform.rebin import Rebin
from caloforge.transform.recentre import Recentre
from caloforge.transform.scale import Scale
from caloforge.transform.split import Split
from caloforge.transform.tally import Tally
from caloforge.transform.threshold import Threshold
from caloforge.transform.voxelise import voxelise
from caloforge.transform.window import Window, central_window, window_calorimeter

__all__ = [
    "Cut",
    "Pipeline",
    "Rebin",
    "Recentre",
    "Scale",
    "Split",
    "Step",
    "Tally",
    "Threshold",
    "Window",
    "central_window",
    "fingerprint",
    "steps_from_options",
    "voxelise",
    "window_calorimeter",
]
