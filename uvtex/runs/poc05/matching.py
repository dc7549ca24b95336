"""Matches two state dicts of one network that differ in the names of the layers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

Layer = tuple[str, dict[str, Tensor]]
"""The name of a layer, and its tensors by name, such as ``weight``."""


class Misfit(Exception):
    """A layer has no counterpart; the message names it and its shapes."""


def match(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of ``theirs`` under the names of ``ours``, as float32.

    The counterpart of a layer has tensors of the same names and shapes. Several layers may fit, as
    normalisations of equal width do. Then the layer right behind the previous counterpart is
    chosen, since most networks declare a normalisation behind its convolution; otherwise the first
    layer that is left. A missing bias becomes zero, and a missing batch counter keeps our value.
    Neither changes the network's output.

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
            raise Misfit(f"{_described(name, shapes)} is not in the file{_first(left)}")
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


def _described(name: str, shapes: Mapping[str, tuple[int, ...]]) -> str:
    sizes = ", ".join(f"{leaf} {'x'.join(map(str, shape))}" for leaf, shape in shapes.items())
    return f"{name} ({sizes or 'no numbers'})"


def _first(left: Mapping[int, Layer]) -> str:
    if not left:
        return ""
    name, layer = next(iter(left.values()))
    first = _described(name, _shapes(layer))
    return f", where the first of {len(left)} without a counterpart is {first}"
