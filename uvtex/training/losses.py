"""The loss terms: four with scheduled weights, all L1 on [-1, 1], and three with constant ones."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from uvtex.config import TrainConfig
from uvtex.data.batch import Batch, Pair
from uvtex.device import autocast
from uvtex.metrics.similarity import ssim_alone_map
from uvtex.models import CameraEstimate, Predictor, Renderer
from uvtex.models.forward import Outputs, forward


def constant_weights(config: TrainConfig) -> dict[str, float]:
    """The weights of the terms that no schedule changes; those of weight 0 are left out."""
    weights = {"flow": config.w_flow, "render": config.w_render, "ssim": config.w_ssim}
    return {term: weight for term, weight in weights.items() if weight}


def step_terms(
    predictor: Predictor,
    renderer: Renderer,
    batch: Batch,
    config: TrainConfig,
    noise: torch.Generator,
) -> dict[str, Tensor]:
    """All loss terms of one training step, as scalars by name.

    ``flow`` is there where the batch has UV maps and the predictor estimates cameras.
    """
    device = batch.pair.a.device
    added = _texture_noise(batch, config, noise)
    out = forward(predictor, renderer, batch.pair, added, batch.more).float32()
    values = terms(batch.pair, out)
    if config.w_ssim:
        values["ssim"] = dissimilarity(batch.pair, out)
    estimates = (out.camera_a, out.camera_b)
    if batch.shown_a is not None and batch.shown_b is not None and out.camera_a is not None:
        with autocast(device, config.precision):
            estimates = (
                predictor.estimate_camera(batch.shown_a),
                predictor.estimate_camera(batch.shown_b),
            )
    sides = (
        (estimates[0], batch.camera_a, batch.flow_a, batch.seen_a),
        (estimates[1], batch.camera_b, batch.flow_b, batch.seen_b),
    )
    known = [
        flow(estimate, camera, true, seen)
        for estimate, camera, true, seen in sides
        if isinstance(estimate, CameraEstimate)
        and camera is not None
        and true is not None
        and seen is not None
    ]
    return {**values, "flow": sum(known[1:], start=known[0]) / 2} if known else values


def _texture_noise(batch: Batch, config: TrainConfig, generator: torch.Generator) -> Tensor | None:
    """Noise [2B, 3, S, S] for both predicted textures; None where the settings ask for none."""
    if not config.texture_noise:
        return None
    shape = (2 * len(batch.pair.a), *batch.pair.texture.shape[1:])
    normal = torch.randn(shape, generator=generator, device=batch.pair.a.device)
    return normal * (2 * config.texture_noise)  # the range is 2 wide


def masked_l1(x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
    """``sum(|x - y| * mask) / (sum(mask) * channels)``, a scalar; 0 for an empty mask.

    Args:
        x, y: [B, C, H, W].
        mask: [B, 1, H, W] in [0, 1].
    """
    area = mask.sum() * x.shape[1]
    return ((x - y).abs() * mask).sum() / area.clamp_min(1e-6)


def terms(pair: Pair, out: Outputs) -> dict[str, Tensor]:
    """The four scheduled terms, and ``render``: the L1 of ``R(t)`` and the view."""
    return {
        "cycle": (
            masked_l1(out.view_a, pair.a, pair.mask_a) + masked_l1(out.view_b, pair.b, pair.mask_b)
        )
        / 2,
        "uv": (out.texture_true - pair.texture).abs().mean(),
        "direct": (
            (out.texture_a - pair.texture).abs().mean()
            + (out.texture_b - pair.texture).abs().mean()
        )
        / 2,
        "cross": (out.texture_a - out.texture_b).abs().mean(),
        "render": (
            masked_l1(out.true_a, pair.a, pair.mask_a) + masked_l1(out.true_b, pair.b, pair.mask_b)
        )
        / 2,
    }


def dissimilarity(pair: Pair, out: Outputs) -> Tensor:
    """``1 - SSIM`` with the true texture, mean of U(a) and U(b): a scalar in [0, 2]."""
    textures = torch.cat([out.texture_a, out.texture_b])
    everywhere = torch.ones_like(textures[:, :1])
    true = torch.cat([pair.texture, pair.texture])
    return 1 - ssim_alone_map(textures, true, everywhere).mean()


def flow(estimate: CameraEstimate, camera: Tensor, true: Tensor, seen: Tensor) -> Tensor:
    """Supervision of the camera estimate: cross-entropy of the camera plus L1 of the flow: scalar.

    The flow term skips views whose camera was classified wrongly.

    Args:
        camera: [B], the index of the true camera.
        true: [B, 2, S, S], the true flow.
        seen: [B, 1, S, S], the texels that the view shows.

    """
    right = (estimate.camera == camera).view(-1, 1, 1, 1)
    return F.cross_entropy(estimate.scores, camera) + masked_l1(estimate.flow, true, seen * right)


def total(values: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
    """The weighted sum of ``values``; values without a weight are left out."""
    parts = [weights[name] * value for name, value in values.items() if name in weights]
    return sum(parts[1:], start=parts[0])
