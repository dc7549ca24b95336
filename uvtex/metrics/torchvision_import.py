"""Lets torchvision's CUDA build be imported beside a CPU-only torch.

The wheels of torchvision on the package index are CUDA builds. With a CPU-only torch their
compiled operators do not load, and ``import torchvision`` then fails on the first Python
registration for an operator that nobody declared: ``operator torchvision::nms does not exist``.
lpips and piq import torchvision for its model definitions alone, so declaring the two operators
without an implementation is enough; calling them still fails, as it should.
"""

from __future__ import annotations

import functools
import importlib
import sys

import torch

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


@functools.cache
def import_torchvision() -> None:
    """Imports torchvision, declaring its missing operators if that is what stops it."""
    try:
        importlib.import_module("torchvision")
        return
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    _declare_operators()
    importlib.import_module("torchvision")


@functools.cache
def _declare_operators() -> torch.library.Library:
    """Declares the operators; the returned library keeps them alive as long as the process."""
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for schema in SCHEMAS:
        name = schema.split("(")[0]
        if not hasattr(torch.ops.torchvision, name):
            library.define(schema)  # type: ignore[no-untyped-call]
    return library
