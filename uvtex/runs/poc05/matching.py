"""Tensors of one network found in another's state dict, where only the layers' names differ."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

Layer = tuple[str, dict[str, Tensor]]
"""A layer's name, and its tensors by the names that torch's layers give them."""


class Misfit(Exception):
    """A layer has no counterpart. Says which, with its shapes."""


def match(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of ``theirs`` under the names of ``ours``, as float32.

    A layer's counterpart has tensors of the same names and shapes. Of several (normalisations of
    equal width) it is the one right behind the counterpart of the layer before, as most networks
    declare a normalisation behind its convolution, or else the first not yet taken. A bias that
    they lack is zero, a counter of batches ours: both leave what is computed as it was.

    Raises:
        Misfit: a layer of either has no counterpart in the other.
    """
    left = dict(enumerate(_layers(theirs)))
    out: dict[str, Tensor] = {}
    before = -1
    for name, wanted in _layers(ours):
        shapes = _shapes(wanted)
        unbiased = {leaf: shape for leaf, shape in shapes.items() if leaf != "bias"}
        fits = [i for i, (_, found) in left.items() if _shapes(found) == shapes]
        if len(wanted) == 2:  # a normalisation without a bias is another thing
            fits = fits or [i for i, (_, found) in left.items() if _shapes(found) == unbiased]
        if not fits:
            raise Misfit(f"{_said(name, shapes)} is not in the file{_first(left)}")
        before = before + 1 if before + 1 in fits else fits[0]
        _, found = left.pop(before)
        for leaf, value in wanted.items():
            default = torch.zeros_like(value)
            out[f"{name}.{leaf}"] = found.get(leaf, default).to(value.dtype)
    if left:
        raise Misfit(f"the file has more layers{_first(left)}")
    return out


def _layers(state: Mapping[str, Tensor]) -> list[Layer]:
    """The layers in the order in which they were declared."""
    layers: dict[str, dict[str, Tensor]] = {}
    for key, value in state.items():
        name, _, leaf = key.rpartition(".")
        layers.setdefault(name, {})[leaf] = value
    return list(layers.items())


def _shapes(layer: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {
        leaf: tuple(value.shape)
        for leaf, value in layer.items()
        if leaf != "num_batches_tracked" and value.is_floating_point()
    }


def _said(name: str, shapes: Mapping[str, tuple[int, ...]]) -> str:
    sizes = ", ".join(f"{leaf} {'x'.join(map(str, shape))}" for leaf, shape in shapes.items())
    return f"{name} ({sizes or 'no numbers'})"


def _first(left: Mapping[int, Layer]) -> str:
    if not left:
        return ""
    name, layer = next(iter(left.values()))
    return (
        f", where the first of {len(left)} without a counterpart is {_said(name, _shapes(layer))}"
    )
