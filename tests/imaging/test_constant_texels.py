"""Constant texels: found in the training liveries, and known to preset atlas."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.models.small_atlas import SIZE, config, estimate_of
from tests.sets import make_showroom
from uvtex.data.store import PairStore
from uvtex.imaging.camera_bank import painted
from uvtex.imaging.constant_texels import LEAST, constant_texels
from uvtex.models.cameras import Cameras
from uvtex.models.correspondence import AtlasPredictor


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PairStore:
    """No livery paints the upper half of its atlas."""
    folder = tmp_path_factory.mktemp("fixed") / "set"
    make_showroom(folder, liveries=LEAST + 2, same=SIZE // 2)
    return PairStore.open(folder, config(val_split=0.2))


def test_texels_are_constant_where_enough_liveries_agree() -> None:
    draw = torch.Generator().manual_seed(0)
    liveries = torch.randint(0, 256, (LEAST, 3, 4, 4), generator=draw).to(torch.uint8)
    liveries[:, :, :2] = torch.tensor([10, 20, 30], dtype=torch.uint8)[:, None, None]
    liveries[0, :, :2] += 4  # as if resized or compressed by another program
    colour = constant_texels([liveries[:3], liveries[3:]])
    expected = torch.tensor([12.0, 22.0, 32.0])[:, None, None].expand(3, 2, 4) / 127.5 - 1
    torch.testing.assert_close(colour[:3, :2], expected)
    assert torch.equal(colour[3], (torch.arange(4) < 2).float()[:, None].expand(4, 4))
    assert not colour[:, 2:].any()
    assert not constant_texels([liveries[1:]]).any(), "too few liveries must give no constant texel"


def test_the_predictor_knows_constant_texels_seen_or_unseen(store: PairStore) -> None:
    batch = next(store.batches("val", 6))
    predictor = AtlasPredictor(store.bank, 0.15)
    predictor.cameras.doubt.fill_(0.5)
    upper, lower = (..., slice(SIZE // 2), slice(None)), (..., slice(SIZE // 2, None), slice(None))
    with torch.no_grad():
        estimate = estimate_of(predictor.cameras, batch.camera_a)
        evidence = predictor._evidence(batch.pair.a[:, None], estimate)
    seen = predictor.cameras.seen[batch.camera_a]
    assert seen[upper].any()
    assert not seen[upper].all()
    assert torch.equal(evidence[:, :3][upper], batch.pair.texture[upper].float())
    doubt = evidence[:, 17:18]
    assert not doubt[upper].any()
    assert (doubt[lower] == 0.5).all()
    # The mean is over painted texels only, so that other glass would not change it.
    mean = evidence[:, 9:12, 0, 0]
    area = seen & (predictor.cameras.fixed[3:] == 0)
    for colour, texture, of in zip(mean, batch.pair.texture, area, strict=True):
        assert (colour - texture[:, of[0]].mean(dim=1)).abs().max() < 0.25


def test_a_painted_constant_texel_is_no_longer_constant(store: PairStore) -> None:
    """Training liveries agree on the upper half. The view shows a livery painted there too."""
    cameras = Cameras(store.bank)
    camera = torch.arange(3)
    one = cameras.fixed[None, :3] * cameras.fixed[3:]
    other = one.clone()
    other[..., : SIZE // 2, : SIZE // 2] *= -1
    views = (cameras.render(x.expand(3, 1, -1, -1, -1), camera)[:, 0] for x in (one, other))
    unchanged, painted = (cameras.fixed_in(view, camera) for view in views)
    assert torch.equal(unchanged, (cameras.fixed[3:] > 0).expand_as(unchanged))
    removed = unchanged & ~painted
    assert removed.any()
    assert not removed[..., SIZE // 2 + 3 :].any(), "an unchanged texel must stay constant"
    far = F.max_pool2d(cameras.seen.float(), 3, stride=1, padding=1) == 0
    assert not (removed & far).any(), "an unseen texel must stay constant"


def test_another_background_at_the_silhouette_does_not_count_as_paint(store: PairStore) -> None:
    cameras = Cameras(store.bank)
    camera = torch.arange(3)
    one = cameras.fixed[None, :3] * cameras.fixed[3:]
    view = cameras.render(one.expand(3, 1, -1, -1, -1), camera)[:, 0]
    share = painted(cameras.paint, SIZE)
    assert ((share > 0.1) & (share < 0.9)).any(), "no pixel lies across the silhouette"
    for ground in (-1.0, 1.0):
        before = view * share + ground * (1 - share)
        assert torch.equal(
            cameras.fixed_in(before, camera), (cameras.fixed[3:] > 0).expand(3, -1, -1, -1)
        )
