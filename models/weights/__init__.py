"""A folder of weights: config.json, *.safetensors, and what belongs to them.

`headers` reads safetensors files in plain Python, `files` checks, digests and saves a folder, `counting` says what its
weights weigh.
"""

from models.weights.counting import Layer, footprint, inspect, layers
from models.weights.files import adapter, check_files, digest, read_config, save, tensors

__all__ = [
    "Layer",
    "adapter",
    "check_files",
    "digest",
    "footprint",
    "inspect",
    "layers",
    "read_config",
    "save",
    "tensors",
]
