"""The set's cameras as preset ``atlas`` uses them: flows, plates, donors, constant texels."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uvtex.imaging import camera_bank as banks
from uvtex.imaging.camera_bank import Aim, CameraBank, aim, painted, project
from uvtex.imaging.compose import linear_from_srgb, srgb_from_linear

DARK = 0.01
"""Light on a white wall below which a pixel gives no evidence of its paint."""
OTHER = 0.2
"""Largest difference between a pixel's colour, in [-1, 1], and the constant texels' colour.

It is a tenth of the range. Noise and 8-bit rounding make a smaller difference.
"""
WHOLE = 0.9
"""Share of a pixel above which the pixel counts as showing constant texels alone."""


class FineCamera(NamedTuple):
    """A camera at D pixels, its UV map at h."""

    paint: Tensor  # int16 [2, h, h], from `encode`
    falling: Tensor  # float32 [3, D, D]
    reflected: Tensor  # float32 [3, D, D]
    share: Tensor  # float32 [1, D, D]: the share of each pixel that surely shows paint


class Cameras(nn.Module):
    """The set's :class:`CameraBank`, and tensors derived from it."""

    flow: Tensor
    seen: Tensor
    paint: Tensor
    falling: Tensor
    reflected: Tensor
    hits: Tensor
    lender: Tensor
    share: Tensor
    doubt: Tensor
    fixed: Tensor
    trust: Tensor | None
    fine: Tensor | None
    fine_painted: Tensor | None
    fine_light: Tensor | None
    fine_paint: Tensor | None
    weight: Tensor  # [K, 1, S, S] how reliably each pixel shows its paint
    reach: Tensor  # [K, 1, S, S] ``weight`` sampled at each texel
    has_donor: Tensor  # bool [K, 1, S, S]
    footprint: Tensor  # [K, 8, S, S] place of each texel in its pixel, and its size
    fixed_paint: Tensor  # [4, S, S] constant texels: linear colour, then 1; else 0
    fixed_whole: Tensor  # bool [K, 1, S, S] pixels that show constant texels alone
    fixed_view: Tensor  # [K, 3, S, S] in [-1, 1] colour of these pixels; else invalid

    def __init__(self, bank: CameraBank) -> None:
        super().__init__()
        for field in fields(bank):
            # A sum's rounding depends on memory layout. A checkpoint's bank is contiguous.
            value = getattr(bank, field.name)
            if value is not None:
                value = value.clone(memory_format=torch.contiguous_format)
            self.register_buffer(field.name, value)
        light = self.falling.mean(dim=1, keepdim=True)
        weight = light * (light > DARK) * (painted(self.paint, self.falling.shape[-1]) > 0)
        if self.trust is not None:
            weight = weight * self.trust
        reach = F.grid_sample(weight, self.flow.permute(0, 2, 3, 1), align_corners=False)
        # These are derived from the bank, so a checkpoint need not hold them.
        self.register_buffer("weight", weight, persistent=False)
        self.register_buffer("reach", reach.clamp_min(1e-4), persistent=False)
        self.register_buffer(
            "has_donor", (self.share > 0).any(dim=1, keepdim=True), persistent=False
        )
        self.register_buffer("footprint", footprint(self.flow) * self.seen, persistent=False)
        linear = linear_from_srgb((self.fixed[:3] + 1) / 2)
        fixed_paint = torch.cat([linear, torch.ones_like(linear[:1])]) * self.fixed[3:]
        self.register_buffer("fixed_paint", fixed_paint, persistent=False)
        each = torch.arange(len(self.flow), device=self.flow.device)[:, None]
        shown = torch.cat([project(fixed_paint[None], self.aim(camera)) for camera in each])
        view = srgb_from_linear(self.falling * shown[:, :3] + self.reflected) * 2 - 1
        self.register_buffer("fixed_view", view, persistent=False)
        share = shown[:, 3:] * painted(self.paint, self.falling.shape[-1])
        self.register_buffer("fixed_whole", share > WHOLE, persistent=False)

    def albedo(self, view: Tensor, camera: Tensor) -> Tensor:
        """The albedo [B, 3, S, S], linear, of ``view`` in [-1, 1].

        It is 0 where the view shows no paint.
        """
        light = linear_from_srgb((view + 1) / 2) - self.reflected[camera]
        paint = (light / self.falling[camera].clamp_min(2 * DARK)).clamp(0, 1.2)
        return paint * (self.weight[camera] > 0)

    def gather(self, paint: Tensor, camera: Tensor) -> Tensor:
        """A picture's paint sampled into the atlas, [B, 3, S, S].

        The mean over pixels is weighted by their light.
        """
        grid = self.flow[camera].permute(0, 2, 3, 1)
        bright = F.grid_sample(paint * self.weight[camera], grid, align_corners=False)
        return bright / self.reach[camera]

    def nearest(self, paint: Tensor, camera: Tensor) -> Tensor:
        """The paint [B, 3, S, S] of the pixel that each texel lies in.

        It is not interpolated between pixels.
        """
        grid = self.flow[camera].permute(0, 2, 3, 1)
        return F.grid_sample(paint, grid, mode="nearest", align_corners=False)

    def fixed_in(self, view: Tensor, camera: Tensor) -> Tensor:
        """The constant texels that views in [-1, 1] do not contradict: bool [B, 1, S, S].

        Constant texels have the same colour in all training liveries. A new livery may still paint
        some of them. A pixel contradicts if it shows constant texels alone and its colour differs
        from theirs. The constant texels in such a pixel are left out. Their neighbours are left out
        too, because the pixel also shows them.
        """
        other = (view - self.fixed_view[camera]).abs().amax(dim=1, keepdim=True) > OTHER
        other = other & self.fixed_whole[camera]
        painted = self.nearest(other.float(), camera) * self.seen[camera]
        return (self.fixed[3:] > 0) & (F.max_pool2d(painted, 3, stride=1, padding=1) == 0)

    def aim(self, camera: Tensor) -> Aim:
        """The texels that the pixels of each camera see."""
        return aim(self.paint[camera], self.falling.shape[-1], self.flow.shape[-1])

    def render(self, textures: Tensor, camera: Tensor) -> Tensor:
        """Views of textures, in [-1, 1], with n textures for each camera of ``camera`` [B].

        Views and textures are [B, n, 3, S, S].
        """
        paint = linear_from_srgb(((textures.flatten(1, 2) + 1) / 2).clamp(0, 1))
        shown = project(paint, self.aim(camera)).reshape(textures.shape)
        radiance = self.falling[camera][:, None] * shown + self.reflected[camera][:, None]
        return srgb_from_linear(radiance) * 2 - 1

    def finest(self, camera: int) -> FineCamera:
        """What is known of a camera, as finely as it is known."""
        if self.fine is None:
            return FineCamera(
                self.paint[camera],
                self.falling[camera],
                self.reflected[camera],
                painted(self.paint[camera][None], self.falling.shape[-1])[0],
            )
        assert self.fine_painted is not None
        assert self.fine_light is not None
        assert self.fine_paint is not None
        own = self.fine_painted[camera]
        start = int(self.fine_painted[:camera].sum())
        part = slice(start, start + int(own.sum()))
        falling, reflected = self.fine[camera][None].float().chunk(2, dim=1)
        # Glass and wheels are compared with photos, which are enlarged and reduced in sRGB.
        shown = F.interpolate(srgb_from_linear(reflected), own.shape, mode="bilinear")
        wide = F.interpolate(falling, own.shape, mode="bilinear")
        light = torch.cat([wide, linear_from_srgb(shown)], dim=1)[0]
        light[:, own] = self.fine_light[:, part].float()
        paint = self.fine_paint.new_full((2, *own.shape), banks.NO_PAINT)
        paint[:, own] = self.fine_paint[:, part]
        # A pixel with one sample may be half paint. It is not, if its neighbours are paint.
        share = -F.max_pool2d(-own[None].float(), 3, stride=1, padding=1)
        falling, reflected = light.chunk(2)
        return FineCamera(paint, falling, reflected, share)

    def borrow(self, texture: Tensor, camera: Tensor) -> Tensor:
        """The mean colour of each texel's donors, weighted by their shares: [B, 3, S, S].

        It is 0 for a texel without donors.
        """
        flat = texture.flatten(2)
        borrowed = torch.zeros_like(flat)
        for m in range(self.lender.shape[1]):
            index = self.lender[camera, m].flatten(1).long()
            share = self.share[camera, m].flatten(1).to(flat.dtype)
            borrowed = borrowed + flat.gather(2, index[:, None].expand(-1, 3, -1)) * share[:, None]
        return borrowed.view(texture.shape)


def footprint(flow: Tensor) -> Tensor:
    """The place of each texel in the pixel that sees it, for flows [K, 2, S, S]: [K, 8, S, S].

    The first 4 channels are sines and cosines of the place within the pixel. The last 4 are the
    derivatives of the flow, in pixels per texel, across and down, clamped to [-2, 2]. The refiner
    needs them to distinguish texels that share a pixel.
    """
    pixels = (flow + 1) * (flow.shape[-1] / 2) - 0.5
    phase = 2 * math.pi * pixels
    across = F.pad(pixels[..., 2:] - pixels[..., :-2], (1, 1)) / 2
    down = F.pad(pixels[..., 2:, :] - pixels[..., :-2, :], (0, 0, 1, 1)) / 2
    moves = torch.cat([across, down], dim=1).clamp(-2, 2)
    return torch.cat([phase.sin(), phase.cos(), moves], dim=1)
