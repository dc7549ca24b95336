"""The predictor and the renderer of preset ``atlas``, which use the set's known cameras.

No network here moves pixels by convolution. The predictor works in six steps:

1. It classifies which of the set's cameras took the view, and estimates the pose of the picture in
   the frame. CMR (Kanazawa et al. 2018) also chooses among poses.
2. It removes the light, by the plate of that camera.
3. It samples the paint into the atlas, by the exact flow of that camera.
4. It sharpens the texture by a fixed number of iterations that bring the rendered view closer to
   the view (Landweber 1951). The normalised gather replaces the adjoint, as in SIRT (Gilbert 1972).
5. It gives each unseen texel the colours of seen texels that the training liveries paint alike.
6. It corrects the result by a small network in texture space, the refiner.

The renderer evaluates the formula of the plate. It has nothing to learn, so a hidden code in the
texture cannot help the predictor (Chu et al. 2017).
"""

from __future__ import annotations

import math
from dataclasses import fields

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uvtex.imaging.affine import inverse, transform, warp
from uvtex.imaging.camera_bank import Aim, CameraBank, aim, painted, project
from uvtex.imaging.compose import linear_from_srgb, srgb_from_linear
from uvtex.models.base import Predictor, Renderer
from uvtex.models.camera_estimate import CameraCode, CameraEstimate
from uvtex.models.layers import group_norm, scaled
from uvtex.models.refiner import TextureRefiner, bounded

SHARPENINGS = 4
"""Number of sharpening iterations. More gain nothing: docs/log.md, 2026-11-23."""
DARK = 0.01
"""Light on a white wall below which a pixel gives no evidence of its paint."""
OTHER = 0.2
"""Largest difference between a pixel's colour, in [-1, 1], and the constant texels' colour.

It is a tenth of the range. Noise and 8-bit rounding make a smaller difference.
"""
WHOLE = 0.9
"""Share of a pixel above which the pixel counts as showing constant texels alone."""
KNOWN = 28
"""Channels of the evidence: the features of a texture that are computed and not learnt."""
PLACES = 8
"""Channels of the learnt position embedding of the atlas, an input of the refiner."""
POSE_SIZE = 32
"""Side, in pixels, of the pose network's input. The silhouette shows at any size."""


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
            value = getattr(bank, field.name).clone(memory_format=torch.contiguous_format)
            self.register_buffer(field.name, value)
        light = self.falling.mean(dim=1, keepdim=True)
        weight = light * (light > DARK) * (painted(self.paint, self.falling.shape[-1]) > 0)
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


class PoseFinder(nn.Module):
    """Views [B, 3, S, S] to logits over the cameras [B, K] and the pose in the frame [B, 2, 3].

    Args:
        cameras: K, the number of cameras.
        width: scales the channels.
        moves: whether pictures may be moved in the frame. If not, the pose is None.
    """

    still: Tensor  # [2, 3] the pose of a picture that is not moved

    def __init__(self, cameras: int, width: float, moves: bool) -> None:
        super().__init__()
        c = [3, *(scaled(n, width) for n in (64, 128, 128))]
        layers: list[nn.Module] = []
        for i in range(3):
            layers += [nn.Conv2d(c[i], c[i + 1], 4, stride=2, padding=1), group_norm(c[i + 1])]
            layers += [nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.camera = nn.Linear(c[3] * 16, cameras)
        self.pose = nn.Linear(c[3] * 16, 6) if moves else None
        for parameter in () if self.pose is None else self.pose.parameters():
            nn.init.zeros_(parameter)
        # A buffer, because a tensor made at each step would make the GPU wait for its transfer.
        self.register_buffer("still", torch.eye(2, 3), persistent=False)

    def forward(self, view: Tensor) -> tuple[Tensor, Tensor | None]:
        small = F.interpolate(view, (POSE_SIZE, POSE_SIZE), mode="bilinear", antialias=True)
        features = self.features(small).flatten(1)
        scores = self.camera(features).float()
        if self.pose is None:
            return scores, None
        # The factor 0.1 keeps a step of the optimiser from moving the picture far.
        pose = self.still + 0.1 * self.pose(features).float().reshape(-1, 2, 3)
        return scores, pose


class AtlasPredictor(Predictor):
    """View to texture, by the set's known cameras.

    Args:
        bank: the set's camera bank.
        width: scales the channels.
        moves: whether views may be camera pictures that were moved in the frame.
    """

    def __init__(self, bank: CameraBank, width: float = 1.0, moves: bool = False) -> None:
        super().__init__()
        self.cameras = Cameras(bank)
        self.pose = PoseFinder(len(bank.flow), width, moves)
        self.place = nn.Parameter(torch.zeros(1, PLACES, *bank.flow.shape[2:]))
        self.mend = TextureRefiner(KNOWN + PLACES, width)

    @property
    def known_texels(self) -> Tensor | None:
        fixed = self.cameras.fixed
        return fixed if bool(fixed.any()) else None

    def estimate_camera(self, view: Tensor) -> CameraEstimate:
        """The camera, the pose and the flow of the views [B, 3, S, S]."""
        scores, pose = self.pose(view)
        camera = scores.argmax(dim=1)
        flow = self.cameras.flow[camera]
        return CameraEstimate(scores, camera, pose, flow if pose is None else transform(flow, pose))

    def clip_gradients(self) -> None:
        self.mend.clip_gradients()

    def predict(self, view: Tensor) -> tuple[Tensor, CameraEstimate]:
        estimate = self.estimate_camera(view)
        evidence = self._evidence(view, estimate)
        place = self.place.expand(view.shape[0], -1, -1, -1)
        residual = self.mend(torch.cat([evidence, place], 1)).float()
        return bounded(evidence[:, :3] + residual), estimate

    def _evidence(self, view: Tensor, estimate: CameraEstimate) -> Tensor:
        """The evidence of the view, [B, KNOWN, S, S].

        Its first 3 channels are a first estimate of the texture. No gradient flows through it.
        """
        cameras, camera = self.cameras, estimate.camera
        with torch.autocast(view.device.type, enabled=False):
            straight = view.detach().float()
            if estimate.pose is not None:
                straight = warp(straight, estimate.pose.detach())
            paint = cameras.albedo(straight, camera)
            nearest = cameras.nearest(paint, camera).clamp(0, 1)
            first = cameras.gather(paint, camera).clamp(0, 1)
            fixed = cameras.fixed_in(straight, camera)
            sharp = torch.where(fixed, cameras.fixed_paint[:3], first)
            shows = cameras.weight[camera] > 0
            at = cameras.aim(camera)
            for _ in range(SHARPENINGS):
                miss = (paint - project(sharp, at)) * shows
                sharp = (sharp + cameras.gather(miss, camera)).clamp(0, 1)
                sharp = torch.where(fixed, cameras.fixed_paint[:3], sharp)
            nearest, first, sharp = (srgb_from_linear(x) * 2 - 1 for x in (nearest, first, sharp))
            seen = cameras.seen[camera].float()
            trusted = seen * cameras.reach[camera]
            painted = trusted * ~fixed
            area = painted.sum(dim=(2, 3), keepdim=True).clamp_min(1e-4)
            mean = (sharp * painted).sum(dim=(2, 3), keepdim=True) / area
            borrowed = torch.where(cameras.has_donor[camera], cameras.borrow(sharp, camera), mean)
            base = torch.where(fixed, cameras.fixed[:3], sharp * seen + borrowed * (1 - seen))
            density = torch.log1p(cameras.hits[camera]) / 3
            known = [base, first * seen, borrowed, mean.expand_as(base), nearest * seen]
            doubt = cameras.doubt[camera] * ~fixed
            about = [seen, trusted, doubt, density, seen * density]
        return torch.cat([*known, *about, cameras.footprint[camera]], dim=1)


class PlateRenderer(Renderer):
    """The exact renderer: it composes a camera's plate with the texture.

    It then moves the picture in the frame by the view's pose.
    """

    def __init__(self, cameras: Cameras) -> None:
        super().__init__()
        # A tuple hides the module from torch. The predictor holds it, in the checkpoint too.
        self._cameras = (cameras,)

    def forward(self, texture: Tensor, camera: CameraEstimate | CameraCode | None = None) -> Tensor:
        if not isinstance(camera, CameraEstimate):
            raise ValueError("the exact renderer needs a camera estimate")
        views = camera.camera.shape[0]
        with torch.autocast(texture.device.type, enabled=False):
            several = texture.float().reshape(-1, views, *texture.shape[1:]).transpose(0, 1)
            pictures = self._cameras[0].render(several, camera.camera)
            if camera.pose is not None:
                moved_back = warp(pictures.flatten(1, 2), inverse(camera.pose))
                pictures = moved_back.reshape(pictures.shape)
            return pictures.transpose(0, 1).flatten(0, 1)
