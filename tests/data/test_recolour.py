"""Liveries in other colours: the views show the recoloured texture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.sets import make_showroom
from uvtex.config import Augment, resolve
from uvtex.data.batch import Batch
from uvtex.data.pictures import read_rgb
from uvtex.data.recolour import DARKEST, Recolouring, _changed, draw, recoloured
from uvtex.data.store import PairStore
from uvtex.imaging.compose import compose, linear_from_srgb, srgb_from_linear
from uvtex.imaging.constant_texels import LEAST

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PairStore:
    values = {"image_size": 32, "device": "cpu", "val_split": 0.34}
    return PairStore.open(make_showroom(tmp_path_factory.mktemp("set") / "set"), resolve(values))


def first(store: PairStore, augment: Augment | None = None, epoch: int = 1) -> Batch:
    return next(store.train_batches(6, 0, epoch, augment))


@pytest.fixture(scope="module")
def half_fixed(tmp_path_factory: pytest.TempPathFactory) -> PairStore:
    """No livery paints the upper half of its atlas."""
    folder = tmp_path_factory.mktemp("half") / "set"
    values = {"image_size": 32, "device": "cpu", "val_split": 0.2}
    return PairStore.open(make_showroom(folder, liveries=LEAST + 2, same=16), resolve(values))


def changed(store: PairStore, batch: Batch) -> Batch:
    loaded = store.loaded
    assert loaded.plates is not None
    assert loaded.unpainted is not None
    return recoloured(batch, loaded.plates, loaded.unpainted, 1.0, "key")


@pytest.fixture(scope="module")
def finer_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with textures of four times the size of views, and a chequered upper half."""
    folder = tmp_path_factory.mktemp("finer") / "set"
    return make_showroom(folder, liveries=LEAST + 2, texels=128, same=64, chequered=True)


@pytest.mark.parametrize(("name", "least"), [("store", 0.02), ("half_fixed", 0.01)])
def test_recoloured_views_show_the_recoloured_texture(
    name: str, least: float, request: pytest.FixtureRequest
) -> None:
    store = request.getfixturevalue(name)
    plates, batch = store.loaded.plates, first(store)
    after = changed(store, batch)
    for view, camera in ((after.pair.a, batch.camera_a), (after.pair.b, batch.camera_b)):
        parts = (x[camera].float() for x in plates.parts)
        expected = compose((after.pair.texture + 1) / 2, *parts) * 2 - 1
        # Views are bytes, and light above white was clipped.
        assert (view - expected).abs().mean() < 0.005
    differences = [(x - y).abs().mean() for x, y in zip(_parts(after), _parts(batch), strict=True)]
    assert min(differences) > least
    assert torch.equal(after.pair.mask_a, batch.pair.mask_a)


def _parts(batch: Batch) -> tuple[torch.Tensor, ...]:
    return batch.pair.texture, batch.pair.a, batch.pair.b


def test_constant_texels_keep_their_colours(half_fixed: PairStore) -> None:
    before = first(half_fixed)
    texture = changed(half_fixed, before).pair.texture
    torch.testing.assert_close(
        texture[..., :16, :], before.pair.texture[..., :16, :], atol=0.01, rtol=0
    )
    assert (texture[..., 16:, :] - before.pair.texture[..., 16:, :]).abs().mean() > 0.05


def test_views_of_finer_textures_keep_their_constant_texels(finer_set: Path) -> None:
    values = {"image_size": 32, "device": "cpu", "val_split": 0.2}
    store = PairStore.open(finer_set, resolve(values))
    plates, batch = store.loaded.plates, first(store)
    assert plates is not None
    after = changed(store, batch)
    files = sorted((finer_set / "textures").iterdir())
    small = torch.stack([torch.tensor(read_rgb(file, 32)) for file in files])
    texels = ((batch.pair.texture + 1) * 127.5).round().permute(0, 2, 3, 1)
    indices = [int((small - texture).abs().sum(dim=(1, 2, 3)).argmin()) for texture in texels]
    whole = torch.stack([torch.tensor(read_rgb(files[i])) for i in indices])
    whole = whole.permute(0, 3, 1, 2) / 255
    painted = srgb_from_linear(draw(len(whole), 1.0, "key", CPU)(linear_from_srgb(whole)))
    painted[..., :64, :] = whole[..., :64, :]
    expected = compose(painted, *(x[batch.camera_a].float() for x in plates.parts)) * 2 - 1
    assert (after.pair.a - expected).abs().mean() < 0.004


def test_clipped_light_appears_in_no_other_channel() -> None:
    """A constant texel is brighter than white in one channel, and paint shares its pixel."""
    constant = torch.tensor([1.0, 0.1, 0.0, 0.5]).view(1, 4, 1, 1)
    paint = torch.tensor([0.4, 0.1, 0.0]).view(1, 3, 1, 1)  # as red as the clipped pixel shows
    swap = Recolouring(torch.tensor([[1, 0, 2]]), torch.ones(1, 3, 1, 1))
    torch.testing.assert_close(_changed(paint, constant, swap), constant[:, :3])


def test_the_background_keeps_its_colours(store: PairStore) -> None:
    batch = first(store)
    after = changed(store, batch)
    for view, before, mask in (
        (after.pair.a, batch.pair.a, batch.pair.mask_a),
        (after.pair.b, batch.pair.b, batch.pair.mask_b),
    ):
        background = (mask == 0).expand_as(view)
        torch.testing.assert_close(view[background], before[background], atol=1e-5, rtol=0)


def test_colours_depend_only_on_the_key_and_differ_between_samples() -> None:
    one, again, other = (draw(64, 1.0, key, CPU) for key in ("a", "a", "b"))
    assert torch.equal(one.order, again.order)
    assert torch.equal(one.gain, again.gain)
    assert not torch.equal(one.order, other.order)
    assert len({tuple(order) for order in one.order.tolist()}) == 6
    assert (one.gain >= DARKEST).all()
    assert (one.gain <= 1).all()
    assert one.gain.std() > 0.1


def test_a_share_of_the_liveries_keeps_its_colours() -> None:
    change = draw(1000, 0.25, "key", CPU)
    kept = (change.gain == 1).all(dim=1).flatten() & (change.order == torch.arange(3)).all(dim=1)
    assert 0.7 < kept.float().mean() < 0.8
    assert bool((draw(9, 0.0, "key", CPU).gain == 1).all())


def test_training_views_are_recoloured_and_validation_views_are_not(store: PairStore) -> None:
    augment = Augment(livery=1.0)
    plain = first(store).pair.texture
    textures = [first(store, augment, epoch).pair.texture for epoch in (1, 1)]
    assert torch.equal(*textures)
    assert not torch.equal(textures[0], plain)
    assert torch.equal(first(store, Augment()).pair.texture, plain)
    whole = next(store.batches("val", 4)).pair.texture
    bytes_ = (whole + 1) * 127.5
    torch.testing.assert_close(bytes_, bytes_.round(), atol=1e-3, rtol=0)


def test_a_set_without_plates_keeps_its_colours(tiny_set: Path) -> None:
    photos = PairStore.open(tiny_set, resolve({"image_size": 32, "device": "cpu"}))
    plain, changed = first(photos), first(photos, Augment(livery=1.0))
    assert torch.equal(plain.pair.texture, changed.pair.texture)
    assert torch.equal(plain.pair.a, changed.pair.a)


def test_a_batch_without_cameras_is_refused(store: PairStore) -> None:
    with pytest.raises(ValueError, match="which cameras"):
        changed(store, replace(first(store), camera_a=None))
