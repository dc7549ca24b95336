"""The batch of a training step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Batch:
    """The images of a batch, and its flows. The flows are None if the set has no UV maps."""

    pair: Pair
    flow_a: Tensor | None  # [B, 2, S, S] in [-1, 1]
    seen_a: Tensor | None  # [B, 1, S, S] in {0, 1}: texels that view a sees
    flow_b: Tensor | None
    seen_b: Tensor | None
    camera_a: Tensor | None  # int64 [B]: the bank's camera that took view a
    camera_b: Tensor | None
    shown_a: Tensor | None = None
    """View a with another background, [B, 3, S, S]. The camera estimate is trained on it.

    None if the background is not augmented.
    """
    shown_b: Tensor | None = None
    """The same of view b."""
    more: Tensor | None = None
    """Further views of each livery, [B, M, 3, S, S] in [-1, 1]. None if there are none."""
    more_cameras: Tensor | None = None
    """int64 [B, M]: the bank's camera that took each of them. None without UV maps."""


@dataclass(frozen=True)
class Pair:
    """Two views of each livery, their masks, and the livery's true texture."""

    a: Tensor  # [B, 3, S, S] in [-1, 1]
    b: Tensor  # [B, 3, S, S] in [-1, 1]
    texture: Tensor  # [B, 3, S, S] in [-1, 1]
    mask_a: Tensor  # [B, 1, S, S] in [0, 1]
    mask_b: Tensor  # [B, 1, S, S] in [0, 1]
