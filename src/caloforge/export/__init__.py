"""Export: a model artifact as a file that other software runs."""

from caloforge.export.onnx import export_onnx

__all__ = ["export_onnx"]
