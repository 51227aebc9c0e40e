"""Calorimeters: layers, cells, positions and materials."""

from caloforge.geometry.binning import read_binning, to_binning_xml
from caloforge.geometry.calorimeter import Calorimeter, Layer, Material, Stack
from caloforge.geometry.catalog import detector_names, load_detector
from caloforge.geometry.join import behind
from caloforge.geometry.segmentation import CartesianGrid, CylindricalGrid
from caloforge.geometry.slabs import Slab, depth, slabs_of, width

__all__ = [
    "Calorimeter",
    "CartesianGrid",
    "CylindricalGrid",
    "Layer",
    "Material",
    "Slab",
    "Stack",
    "behind",
    "depth",
    "detector_names",
    "load_detector",
    "read_binning",
    "slabs_of",
    "to_binning_xml",
    "width",
]
