"""What a store gives at each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Batch:
    """Images of a batch, and its flows where the set's UV maps are known."""

    pair: Pair
    flow_a: Tensor | None  # [B, 2, S, S] in [-1, 1]
    seen_a: Tensor | None  # [B, 1, S, S] in {0, 1}: texels that view a sees
    flow_b: Tensor | None
    seen_b: Tensor | None
    camera_a: Tensor | None  # int64 [B]: the bank's camera that took view a
    camera_b: Tensor | None
    shown_a: Tensor | None = None
    """View a before another background, [B, 3, S, S], where the camera is to be told by it."""
    shown_b: Tensor | None = None


@dataclass(frozen=True)
class Pair:
    """A batch: two views of each livery, the livery's true texture, the car's masks."""

    a: Tensor  # [B, 3, S, S] in [-1, 1]
    b: Tensor  # [B, 3, S, S] in [-1, 1]
    texture: Tensor  # [B, 3, S, S] in [-1, 1]
    mask_a: Tensor  # [B, 1, S, S] in [0, 1]
    mask_b: Tensor  # [B, 1, S, S] in [0, 1]
