"""Export: a model artifact as a file that other software runs."""

from caloforge.export.ddml import export_ddml
from caloforge.export.fastcalosim import export_fastcalosim
from caloforge.export.onnx import export_onnx
from caloforge.export.openvino import export_openvino
from caloforge.export.par04 import Par04Options, export_par04
from caloforge.export.script import export_torchscript
from caloforge.export.targets import ExportOptions, Target, export_model

__all__ = [
    "ExportOptions",
    "Par04Options",
    "Target",
    "export_ddml",
    "export_fastcalosim",
    "export_model",
    "export_onnx",
    "export_openvino",
    "export_par04",
    "export_torchscript",
]
