"""The evidence of several views of one livery, and the texture that is made of it."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.models.small_atlas import SIZE, config
from tests.sets import paint as paint_of
from uvtex.imaging.camera_bank import (
    NO_PAINT,
    CameraBank,
    aim,
    build_camera_bank,
    encode,
    project,
    unproject,
)
from uvtex.imaging.uv_maps import invert
from uvtex.models import build, evidence
from uvtex.models.cameras import Cameras

CAMERAS = 5


@pytest.fixture(scope="module")
def cameras() -> Cameras:
    """Cameras so far away that a pixel covers two by two texels, each turned otherwise."""
    flows, seen, paint = [], [], []
    y, x = (np.mgrid[: 3 * SIZE, : 3 * SIZE] + 0.5) / (1.5 * SIZE) - 1
    for camera in range(CAMERAS):
        angle = 1.1 * camera
        uv = np.stack(
            [np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y]
        )
        uv = uv.transpose(1, 2, 0) * 0.95 + 0.5 + 0.01 * camera
        uv[(uv < 0).any(axis=2) | (uv > 1).any(axis=2)] = np.nan
        flow, hit = invert(uv, SIZE)
        flows.append(torch.from_numpy(flow))
        seen.append(torch.from_numpy(hit)[None])
        paint.append(torch.from_numpy(encode(uv)))
    light = torch.full((CAMERAS, 3, SIZE, SIZE), 0.6)
    liveries = (
        torch.rand(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1)) * 255
    ).byte()
    bank = build_camera_bank(
        torch.stack(flows), torch.stack(seen), torch.stack(paint), light, light / 20, liveries
    )
    return Cameras(bank)


@pytest.fixture(scope="module")
def livery(cameras: Cameras) -> tuple[Tensor, Tensor]:
    """All views of a livery [1, V, 3, S, S], with 8 bits a channel, and its texture."""
    texture = torch.from_numpy(paint_of(np.random.default_rng(3), SIZE)).permute(2, 0, 1)[None]
    texture = texture.float() / 127.5 - 1
    views = cameras.render(texture[:, None].expand(CAMERAS, -1, -1, -1, -1), torch.arange(CAMERAS))
    return ((views[:, 0] + 1) * 127.5).round()[None] / 127.5 - 1, texture


def test_unproject_is_the_adjoint_of_project() -> None:
    draw = torch.Generator().manual_seed(0)
    uv = torch.rand(16, 16, 2, generator=draw)
    uv[:3] = torch.nan  # pixels without paint
    at = aim(torch.from_numpy(encode(uv.numpy()))[None].expand(2, -1, -1, -1), 8, 12)
    texture = torch.rand(2, 3, 12, 12, generator=draw)
    pixels = torch.rand(2, 3, 8, 8, generator=draw)
    forth = (project(texture, at) * pixels).sum()
    back = (texture * unproject(pixels, at, 12)).sum()
    torch.testing.assert_close(forth, back)


def test_several_views_together_are_nearer_the_truth_than_the_mean_of_their_textures(
    cameras: Cameras, livery: tuple[Tensor, Tensor]
) -> None:
    views, texture = livery
    each = torch.arange(CAMERAS)[None]
    together = evidence.of_views(cameras, views, each)
    alone = evidence.of_view(cameras, views[0], each[0])
    weight = evidence.texel_weight(cameras, each[0])
    mean = (alone[:, :3] * weight).sum(0) / weight.sum(0).clamp_min(1e-6)
    seen = cameras.seen.all(dim=0)
    error, rival, *single = (
        float(((made - texture[0]).abs() * seen).sum() / (3 * seen.sum()))
        for made in (together[0, :3], mean, *alone[:, :3])
    )
    assert error < 0.85 * rival
    assert error < 0.85 * min(single)


def test_evidence_does_not_depend_on_the_order_of_views_nor_on_a_repeated_one(
    cameras: Cameras, livery: tuple[Tensor, Tensor]
) -> None:
    views, each = livery[0], torch.arange(CAMERAS)[None]
    made = evidence.of_views(cameras, views, each)
    order = torch.tensor([2, 0, 4, 3, 1])
    turned = evidence.of_views(cameras, views[:, order], each[:, order])
    torch.testing.assert_close(made[:, :3], turned[:, :3], atol=2e-3, rtol=0)
    pair = evidence.of_views(cameras, views[:, :2], each[:, :2])
    repeated = evidence.of_views(cameras, views[:, [0, 1, 0, 1]], each[:, [0, 1, 0, 1]])
    assert (pair[:, :3] - repeated[:, :3]).abs().mean() < 0.02


def test_a_view_whose_map_is_unsure_counts_less(
    cameras: Cameras, livery: tuple[Tensor, Tensor]
) -> None:
    """One map is off by two texels, and its trust is low."""
    bank = CameraBank(
        **{f.name: getattr(cameras, f.name) for f in fields(CameraBank) if f.name != "paint"},
        paint=cameras.paint.clone(),
    )
    bank.paint[1, 0] = torch.where(
        cameras.paint[1, 0] == NO_PAINT, NO_PAINT, (cameras.paint[1, 0] + 4000).clamp_max(32767)
    )
    trust = torch.ones(CAMERAS, 1, SIZE, SIZE)
    trust[1] = 0.1
    errors = []
    for known in (None, trust):
        made = evidence.of_views(
            Cameras(replace(bank, trust=known)), livery[0][:, :2], torch.arange(2)[None]
        )
        errors.append(float((made[0, :3] - livery[1][0]).abs().mean()))
    assert errors[1] < 0.9 * errors[0]


def test_a_blurred_view_counts_less(cameras: Cameras, livery: tuple[Tensor, Tensor]) -> None:
    views, texture = livery
    views = views[:, :2].clone()
    views[:, 1] = F.avg_pool2d(F.pad(views[0, 1:], (2, 2, 2, 2), mode="replicate"), 5, stride=1)
    weight = evidence.by_sharpness(torch.tensor([[0.0, 1.4]]))
    assert weight[0].tolist() == pytest.approx([1, 1 / (1 + (1.4 / evidence.BLURRED) ** 2)])
    errors = [
        float(
            (evidence.of_views(cameras, views, torch.arange(2)[None], counted)[0, :3] - texture[0])
            .abs()
            .mean()
        )
        for counted in (None, weight)
    ]
    assert errors[1] < 0.95 * errors[0]


def test_the_sharpest_view_that_counts_counts_fully() -> None:
    blur = torch.tensor([[0.4, 0.0, 0.2], [0.3, 0.3, 0.3]])
    counted = torch.tensor([[True, False, True], [True, True, True]])
    weight = evidence.by_sharpness(blur, counted)
    assert weight[0].tolist() == pytest.approx([(1 + 1) / (1 + 4), 0, 1])
    assert weight[1].tolist() == [1, 1, 1]


def test_a_texel_that_any_view_sees_is_seen(
    cameras: Cameras, livery: tuple[Tensor, Tensor]
) -> None:
    made = evidence.of_views(cameras, livery[0][:, :2], torch.arange(2)[None])
    assert made.shape == (1, evidence.CHANNELS, SIZE, SIZE)
    seen = made[:, 15] > 0  # after five textures of three channels
    assert torch.equal(seen[0], cameras.seen[:2].any(dim=0)[0])


def test_the_texture_of_one_view_is_the_prediction_of_that_view(
    cameras: Cameras, livery: tuple[Tensor, Tensor]
) -> None:
    torch.manual_seed(0)
    bank = CameraBank(**{field.name: getattr(cameras, field.name) for field in fields(CameraBank)})
    predictor, _ = build(config(), bank)
    with torch.no_grad():
        alone, _ = predictor.fuse(livery[0][:, :1])
        assert torch.equal(alone, predictor(livery[0][:, 0]))


@pytest.mark.parametrize(("preset", "maps"), [("atlas", True), ("atlas", False), ("poc05", False)])
@pytest.mark.parametrize("odd", [0, 2])
def test_views_that_do_not_count_change_nothing(
    cameras: Cameras, livery: tuple[Tensor, Tensor], preset: str, maps: bool, odd: int
) -> None:
    torch.manual_seed(0)
    bank = CameraBank(**{field.name: getattr(cameras, field.name) for field in fields(CameraBank)})
    predictor, _ = build(config(preset=preset), bank if maps else None)
    predictor.eval()
    views = livery[0][:, :3]
    others = [k for k in range(3) if k != odd]
    counted = torch.tensor([[k != odd for k in range(3)]])
    with torch.no_grad():
        expected, _ = predictor.fuse(views[:, others])
        every, _ = predictor.fuse(views)
        made, _ = predictor.fuse(views, counted)
        torch.testing.assert_close(made, expected)
        assert (made - every).abs().max() > 1e-3
        all_counted, _ = predictor.fuse(views, torch.ones_like(counted))
        torch.testing.assert_close(all_counted, every)


def test_a_network_without_evidence_fuses_by_the_mean(livery: tuple[Tensor, Tensor]) -> None:
    torch.manual_seed(0)
    predictor, _ = build(config(preset="poc05"), None)
    predictor.eval()
    with torch.no_grad():
        made, _ = predictor.fuse(livery[0])
        torch.testing.assert_close(made[0], predictor(livery[0][0]).mean(dim=0))
        assert predictor.texels_of(livery[0][0]) is None
