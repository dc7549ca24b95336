"""The six forward passes of a training step, through both networks."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from uvtex.data.batch import Pair
from uvtex.models import CameraCode, CameraEstimate, Predictor, Renderer


def forward(
    predictor: Predictor,
    renderer: Renderer,
    pair: Pair,
    noise: Tensor | None = None,
    more: Tensor | None = None,
) -> Outputs:
    """Applies both networks to a batch: U(a), U(b), R(U(a)), R(U(b)), R(t) and U(R(t)).

    U is the predictor, R the renderer and t the true texture.

    Args:
        noise: [2B, 3, S, S], added to U(a) and U(b) before they are rendered, or None for no noise.
            The noise destroys a hidden code in the texture (Bashkirova et al. 2019).
        more: further views [B, M, 3, S, S], which are fused with b: U(b) is then the texture of
            1 + M views. None for none.
    """
    if predictor.normalises_over_batch:
        return _forward_with_batch_norm(predictor, renderer, pair, noise)
    textures, cameras = _predicted(predictor, pair, more)
    texture_a, texture_b = textures.chunk(2)
    noisy = textures if noise is None else (textures + noise).clamp(-1, 1)
    if cameras is None:
        views = renderer(torch.cat([noisy, pair.texture]))
        view_a, view_b, true_a = views.chunk(3)
        true_b, camera_a, camera_b = true_a, None, None
    else:
        views, true = _render(renderer, noisy, pair.texture, cameras)
        view_a, view_b = views.chunk(2)
        true_a, true_b = true.chunk(2)
        camera_a, camera_b = cameras.half(0), cameras.half(1)
    texture_true, _ = predictor.predict(true_a)
    return Outputs(
        texture_a, texture_b, view_a, view_b, true_a, true_b, texture_true, camera_a, camera_b
    )


def _predicted(
    predictor: Predictor, pair: Pair, more: Tensor | None
) -> tuple[Tensor, CameraEstimate | CameraCode | None]:
    """U(a) and U(b), [2B, 3, S, S], and the cameras of a and b."""
    if more is None:
        return predictor.predict(torch.cat([pair.a, pair.b]))
    texture_a, camera_a = predictor.predict(pair.a)
    several = torch.cat([pair.b[:, None], more], dim=1)
    texture_b, cameras = predictor.fuse(several)
    textures = torch.cat([texture_a, texture_b])
    if cameras is None or camera_a is None:
        return textures, None
    camera_b = cameras.every(several.shape[1])
    return textures, camera_a.then(camera_b)  # type: ignore[arg-type]


def _render(
    renderer: Renderer, textures: Tensor, texture: Tensor, cameras: CameraEstimate | CameraCode
) -> tuple[Tensor, Tensor]:
    """Views of U(a) and U(b), and views of the true texture by the cameras of a and b.

    ``texture`` is the true texture [B, 3, S, S]. Both results are [2B, 3, S, S]. The true texture's
    views get no gradient if the renderer has no parameters and there is no pose.
    """
    twice = torch.cat([texture, texture])
    pose = cameras.pose if isinstance(cameras, CameraEstimate) else None
    if pose is None and not any(True for _ in renderer.parameters()):
        with torch.no_grad():
            true = renderer(twice, cameras)
        # The same memory layout as from one call, so that the losses round alike.
        return renderer(textures, cameras).contiguous(), true.contiguous()
    views, true = renderer(torch.cat([textures, twice]), cameras).chunk(2)
    return views, true


def _forward_with_batch_norm(
    predictor: Predictor, renderer: Renderer, pair: Pair, noise: Tensor | None
) -> Outputs:
    """:func:`forward` for a predictor with BatchNorm.

    BatchNorm takes its statistics from one pass. The passes are U(a), U(b), U(R(t)), in this order.
    Such a predictor knows nothing of the camera. So R(t) can be computed first, and the three
    passes can share one batch.
    """
    true = renderer(pair.texture)
    texture_a, texture_b, texture_true = predictor.predict_separately(pair.a, pair.b, true)
    textures = torch.cat([texture_a, texture_b])
    noisy = textures if noise is None else (textures + noise).clamp(-1, 1)
    view_a, view_b = renderer(noisy).chunk(2)
    return Outputs(texture_a, texture_b, view_a, view_b, true, true, texture_true, None, None)


@dataclass(frozen=True)
class Outputs:
    """The networks' outputs for a :class:`Pair`. U is the predictor, R the renderer."""

    texture_a: Tensor  # U(a)           [B, 3, S, S]
    texture_b: Tensor  # U(b)           [B, 3, S, S]
    view_a: Tensor  # R(U(a))           [B, 3, S, S]
    view_b: Tensor  # R(U(b))           [B, 3, S, S]
    true_a: Tensor  # R(t) by a's camera   [B, 3, S, S]
    true_b: Tensor  # R(t) by b's camera; equals true_a if the renderer gets no camera
    texture_true: Tensor  # U(R(t)) by a's camera   [B, 3, S, S]
    camera_a: CameraEstimate | CameraCode | None = None
    camera_b: CameraEstimate | CameraCode | None = None

    def float32(self) -> Outputs:
        """The outputs in float32. The bf16 of autocast is too coarse for averages."""
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        for name, value in values.items():
            if isinstance(value, Tensor):
                values[name] = value.float()
        return Outputs(**values)
