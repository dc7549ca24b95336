"""What a registered model computes: pictures of liveries in, textures out, in tensors alone."""

from __future__ import annotations

from enum import IntEnum

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uvtex.imaging.agreement import compare_at_once, standing
from uvtex.imaging.placing import MARGIN, Known, can_place, evened, for_placing, known_of, place
from uvtex.inference.choosing import CONTRADICTS, LITTLE, NOT_COMPARED, UNCHECKED
from uvtex.inference.photos import SHRINK_TO
from uvtex.inference.placement import BLURRED, NOT_PLACED, USED_AS_IT_LIES
from uvtex.models import Predictor
from uvtex.models.evidence import by_sharpness

SAME = 0.5
"""Greatest difference between two views of the same picture, in levels of 255."""


class Said(IntEnum):
    """What the program says of a picture. Where several hold, it is the last of them."""

    NOTHING = 0
    NOT_COMPARED = 1
    UNCHECKED = 2
    BLURRED = 3
    AS_IT_LIES = 4
    UNDECIDED = 5
    CONTRADICTS = 6
    NOT_PLACED = 7
    COPY = 8


WARNINGS = {
    Said.NOT_COMPARED: NOT_COMPARED,
    Said.UNCHECKED: UNCHECKED,
    Said.BLURRED: BLURRED,
    Said.AS_IT_LIES: f"{NOT_PLACED}; {USED_AS_IT_LIES}",
    Said.UNDECIDED: (
        "contradicts another photo, as if it showed another livery, and no group of photos that "
        "agree is larger than all others together; all are used"
    ),
}
"""What is said of a picture that has a part in the texture."""
LEFT_OUT = {
    Said.CONTRADICTS: CONTRADICTS,
    Said.NOT_PLACED: NOT_PLACED,
    Said.COPY: "is the same picture as an earlier one",
}
"""Why a picture has no part in the texture."""


class PicturesToTexture(nn.Module):
    """uint8 pictures [N, V, H, W, 3] of any size to uint8 textures [N, S, S, 3], and what is said.

    Each of the N liveries has V pictures, which are fused. The preparation is that of ``uvtex infer
    --whole``: pad to a square with the median colour of the border, register to the camera where
    its light is known finely enough, then resize with antialiasing. Pictures are left out as by
    :func:`uvtex.inference.choosing.choose`. Where that raises, all of them are used. They count by
    their sharpness.

    The second output, uint8 [N, V], has a :class:`Said` for each picture.
    """

    def __init__(self, predictor: Predictor, size: int) -> None:
        super().__init__()
        self.predictor = predictor
        self.size = size
        views = [*map(for_placing, predictor.still_cameras())]
        self.places = bool(views) and all(map(can_place, views))
        for name, value in known_of(views)._asdict().items() if self.places else ():
            self.register_buffer(f"known_{name}", value, persistent=False)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        count = pictures.shape[1]
        shown = pictures.flatten(0, 1).permute(0, 3, 1, 2).float()
        view = _whole(shown, self.size)
        known = torch.ones_like(view[:, 0, 0, 0], dtype=torch.bool)
        blur = torch.zeros_like(view[:, 0, 0, 0])
        if self.places:
            view, known, blur = self._placed(shown, view)
        views = (view / 127.5 - 1).reshape(-1, count, 3, self.size, self.size)
        said = self._said(views, known.reshape(-1, count))
        counted = said < min(LEFT_OUT)
        worth = by_sharpness(blur.reshape(-1, count) * (self.size / 2), counted)
        said = said.maximum(torch.where(counted & (worth < LITTLE), Said.BLURRED, 0))
        first = counted.int().argmax(dim=1)[:, None, None, None, None]
        only = views.gather(1, first.expand(-1, 1, 3, self.size, self.size)).squeeze(1)
        alone = self.predictor.predict(only)[0].float()
        together = self.predictor.fuse(views, worth)[0].float()
        # Both are computed. A graph has no condition on the number of pictures: the exporter takes
        # a size for more than one.
        several = counted.sum(dim=1) > 1
        texture = torch.where(several[:, None, None, None], together, alone)
        pixels = ((texture.clamp(-1, 1) + 1) * 127.5).round()
        out: Tensor = pixels.to(torch.uint8).permute(0, 2, 3, 1)
        return out, said.to(torch.uint8)

    def _said(self, views: Tensor, known: Tensor) -> Tensor:
        """What is said of each of the views [N, V, 3, S, S], whose places are known or not [N, V].

        It is a value of :class:`Said`, int64 [N, V].
        """
        copy = _copies(views)
        placed = (known & ~copy).any(dim=1, keepdim=True)
        lost = ~known & ~copy
        kept = ~copy & ~(lost & placed)
        several = kept.sum(dim=1, keepdim=True) > 1
        said = torch.where(lost, torch.where(placed, Said.NOT_PLACED, Said.AS_IT_LIES), 0)
        said = torch.where(copy, Said.COPY, said)
        shown = self.predictor.texels_of(views.flatten(0, 1))
        if shown is None:
            return said.maximum(torch.where(kept & several, Said.NOT_COMPARED, 0))
        grouped = (x.reshape(*views.shape[:2], *x.shape[1:]) for x in shown)
        found = standing(*compare_at_once(*grouped), kept)
        said = said.maximum(torch.where(found.unchecked & several, Said.UNCHECKED, 0))
        said = said.maximum(torch.where(found.undecided, Said.UNDECIDED, 0))
        return said.maximum(torch.where(found.odd, Said.CONTRADICTS, 0))

    def _placed(self, shown: Tensor, views: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The views [B, 3, S, S] of pictures [B, 3, H, W], cut where their cameras show them.

        They are as bright as the training views. And whether their places are known, bool [B], and
        their blur, in half sides [B].
        """
        estimate = self.predictor.estimate_camera(views / 127.5 - 1)
        assert estimate is not None
        known = Known(*(getattr(self, f"known_{name}") for name in Known._fields))
        cameras = known.of(estimate.camera)
        side = round(cameras.falling.shape[-1] * MARGIN)
        wide = views.new_tensor([[MARGIN, 0, 0], [0, MARGIN, 0]]).expand(shown.shape[0], 2, 3)
        around = _cut(shown, wide, side)
        inside = _square(torch.ones_like(shown[:, :1]), 0.0)
        grid = F.affine_grid(wide, [shown.shape[0], 1, side, side], align_corners=False)
        valid = F.grid_sample(inside, grid, mode="nearest", align_corners=False)[:, 0] > 0.5
        moves, known_place, blur, gain = place(around, valid, cameras)
        right, down, grows, turn = moves.float().unbind(dim=1)
        again = _cut(shown, _frame(right, down, grows.exp(), turn), self.size)
        moved = (moves != 0).any(dim=1)[:, None, None, None]
        return evened(torch.where(moved, again, views), gain), known_place, blur.float()


def _copies(views: Tensor) -> Tensor:
    """Which of the views [N, V, 3, S, S] in [-1, 1] show the picture of an earlier one: [N, V]."""
    flat = views.flatten(2) * 127.5
    apart = (flat[:, :, None] - flat[:, None]).abs().amax(dim=3)
    return (apart < SAME).int().tril(-1).any(dim=2)


def _resized(pictures: Tensor, side: int) -> Tensor:
    """Pictures [B, C, H, W] of ``side`` by ``side`` pixels, by Pillow's Lanczos filter."""
    height, width = pictures.shape[2:]
    down, across = (_lanczos(pictures, size, side) for size in (height, width))
    return (down @ pictures @ across.T).clamp(0, 255)


def _lanczos(like: Tensor, size: int, side: int) -> Tensor:
    """The share of each of ``size`` pixels in each of ``side`` pixels: [side, size].

    Lanczos' window of three lobes, as wide as the larger of the two pixels (Duchon 1979).
    """
    here = (torch.arange(size, device=like.device) + 0.5) / size * side
    there = torch.arange(side, device=like.device) + 0.5
    away = (there[:, None] - here) / (like.new_ones(()) * side / size).clamp_min(1)
    share = torch.where(away.abs() < 3, torch.sinc(away) * torch.sinc(away / 3), 0.0)
    return share / share.sum(dim=1, keepdim=True)


def _frame(right: Tensor, down: Tensor, scale: Tensor, turn: Tensor) -> Tensor:
    """The affine maps [B, 2, 3] that scale, turn clockwise, then move; all [B]."""
    along, across = scale * turn.cos(), scale * turn.sin()
    rows = [torch.stack([along, -across, right], 1), torch.stack([across, along, down], 1)]
    return torch.stack(rows, dim=1)


def _whole(shown: Tensor, side: int) -> Tensor:
    """The pictures [B, 3, H, W], padded to squares: [B, 3, side, side]."""
    return _resized(_reduced(shown, side), side)


def _reduced(shown: Tensor, side: int) -> Tensor:
    """The pictures [B, 3, H, W], padded to squares of at most SHRINK_TO times ``side`` pixels."""
    sheet = _square(shown, _ground(shown))
    least = torch.sym_min(sheet.shape[-1], SHRINK_TO * side)  # type: ignore[no-untyped-call]
    return _resized(sheet, least)


def _cut(shown: Tensor, frame: Tensor, side: int) -> Tensor:
    """Views [B, 3, side, side] of pictures [B, 3, H, W]: :func:`uvtex.inference.photos.cut`.

    Args:
        frame: [B, 2, 3], from the view to the picture padded to a square, both on [-1, 1].
    """
    ground = _ground(shown)
    sheet = _reduced(shown, side) - ground
    fine = SHRINK_TO * side
    grid = F.affine_grid(frame, [shown.shape[0], 1, fine, fine], align_corners=False)
    there = F.grid_sample(sheet, grid, align_corners=False) + ground
    return _resized(there, side)


def _ground(shown: Tensor) -> Tensor:
    """The median colour of the border of pictures [B, 3, H, W]: [B, 3, 1, 1]."""
    border = [shown[:, :, 0], shown[:, :, -1], shown[..., 0], shown[..., -1]]
    return torch.cat(border, dim=2).median(dim=2).values[..., None, None]


def _square(shown: Tensor, ground: Tensor | float) -> Tensor:
    """[B, C, H, W] padded with ``ground`` to [B, C, max(H, W), max(H, W)]."""
    height, width = shown.shape[2:]
    side = torch.sym_max(height, width)  # type: ignore[no-untyped-call]
    left, top = (side - width) // 2, (side - height) // 2
    around = (left, side - width - left, top, side - height - top)
    return F.pad(shown - ground, around) + ground
