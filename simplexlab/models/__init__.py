"""Keras encoders, classifier heads, and fast layers for both. Each name is imported when it is first used."""

import importlib

from simplexlab.models.names import is_nonnegative

_MODULES = {
    "FastConvolution": "convolution",
    "FusedBatchNormalization": "normalization",
    "OrthonormalHead": "heads",
    "build_encoder": "encoders",
    "export_model": "export",
    "fixed_head": "heads",
    "least_memory": "encoders",
    "linear_head": "heads",
    "project_to_sphere": "heads",
    "projection_head": "heads",
    "simplex_head": "heads",
}
__all__ = ["is_nonnegative", *_MODULES]


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
