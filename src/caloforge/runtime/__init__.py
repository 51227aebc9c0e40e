"""Run exported models without torch: noise, engines, showers.

This package needs numpy, scipy, numba and onnxruntime, nothing of the training framework, so that
it can live inside a simulation job.
"""

from caloforge.runtime.choose import fastest
from caloforge.runtime.compact_engine import CompactEngine
from caloforge.runtime.engine import Engine
from caloforge.runtime.generate import shower_batches
from caloforge.runtime.noise import normal_noise, shower_noise, uniform_noise
from caloforge.runtime.onnx_engine import OnnxEngine
from caloforge.runtime.openvino_engine import OpenVinoEngine

__all__ = [
    "CompactEngine",
    "Engine",
    "OnnxEngine",
    "OpenVinoEngine",
    "fastest",
    "normal_noise",
    "shower_batches",
    "shower_noise",
    "uniform_noise",
]
