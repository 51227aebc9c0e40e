"""Calorimeters: layers, cells, positions and materials."""

from caloforge.geometry.calorimeter import Calorimeter, Layer, Material, Stack
from caloforge.geometry.catalog import detector_names, load_detector
from caloforge.geometry.segmentation import CartesianGrid, CylindricalGrid

__all__ = [
    "Calorimeter",
    "CartesianGrid",
    "CylindricalGrid",
    "Layer",
    "Material",
    "Stack",
    "detector_names",
    "load_detector",
]
