"""The six passes of a step: what both networks make of a batch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from uvtex.data.batch import Pair
from uvtex.models import CameraEstimate, Predictor, Renderer

if TYPE_CHECKING:
    from uvtex.models.camera_estimate import CameraEstimate


def forward(
    predictor: Predictor, renderer: Renderer, pair: Pair, noise: Tensor | None = None
) -> Outputs:
    """Both networks over a batch: U(a), U(b), their views, R(t), and U(R(t)).

    Args:
        noise: [2B, 3, S, S] added to U(a) and U(b) before they are rendered, so that no code
            survives the way through the texture (Bashkirova et al. 2019). None: nothing.
    """
    if predictor.normalises_over_batch:
        return _forward_apart(predictor, renderer, pair, noise)
    textures, sights = predictor.predict(torch.cat([pair.a, pair.b]))
    texture_a, texture_b = textures.chunk(2)
    shaken = textures if noise is None else (textures + noise).clamp(-1, 1)
    if sights is None:
        views = renderer(torch.cat([shaken, pair.texture]))
        view_a, view_b, true_a = views.chunk(3)
        true_b, sight_a, sight_b = true_a, None, None
    else:
        views, true = _dressed(renderer, shaken, pair.texture, sights)
        view_a, view_b = views.chunk(2)
        true_a, true_b = true.chunk(2)
        sight_a, sight_b = sights.half(0), sights.half(1)
    texture_true, _ = predictor.predict(true_a)
    return Outputs(
        texture_a, texture_b, view_a, view_b, true_a, true_b, texture_true, sight_a, sight_b
    )


def _dressed(
    renderer: Renderer, textures: Tensor, texture: Tensor, sights: CameraEstimate
) -> tuple[Tensor, Tensor]:
    """Views of U(a) and U(b) [2B, 3, S, S], and of the true texture [B, 3, S, S] as in both.

    Where nothing that makes the true texture's views can learn, no gradient is worked out for them.
    """
    twice = torch.cat([texture, texture])
    if sights.pose is None and not any(True for _ in renderer.parameters()):
        with torch.no_grad():
            true = renderer(twice, sights)
        # As rendered in one call they lie: sums over them, the losses, round alike.
        return renderer(textures, sights).contiguous(), true.contiguous()
    views, true = renderer(torch.cat([textures, twice]), sights).chunk(2)
    return views, true


def _forward_apart(
    predictor: Predictor, renderer: Renderer, pair: Pair, noise: Tensor | None
) -> Outputs:
    """For BatchNorm, whose statistics are of one pass: U(a), U(b), U(R(t)) in this order. Such a
    predictor tells of no camera, so R(t) can be had first, and the three can be one batch."""
    true = renderer(pair.texture)
    texture_a, texture_b, texture_true = predictor.predict_separately(pair.a, pair.b, true)
    textures = torch.cat([texture_a, texture_b])
    shaken = textures if noise is None else (textures + noise).clamp(-1, 1)
    view_a, view_b = renderer(shaken).chunk(2)
    return Outputs(texture_a, texture_b, view_a, view_b, true, true, texture_true, None, None)


@dataclass(frozen=True)
class Outputs:
    """What the networks made of a :class:`Pair`; U is the predictor, R the renderer."""

    texture_a: Tensor  # U(a)           [B, 3, S, S]
    texture_b: Tensor  # U(b)           [B, 3, S, S]
    view_a: Tensor  # R(U(a))           [B, 3, S, S]
    view_b: Tensor  # R(U(b))           [B, 3, S, S]
    true_a: Tensor  # R(t), told a's camera   [B, 3, S, S]
    true_b: Tensor  # R(t), told b's camera; the same where the renderer is told none
    texture_true: Tensor  # U(R(t)) of a's camera   [B, 3, S, S]
    sight_a: CameraEstimate | None = None
    sight_b: CameraEstimate | None = None

    def float32(self) -> Outputs:
        """The same in float32: autocast's bf16 is too coarse to average in."""
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        for name, value in values.items():
            if isinstance(value, Tensor):
                values[name] = value.float()
        return Outputs(**values)
