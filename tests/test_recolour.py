"""Liveries in other colours: the views are those that the recoloured texture gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.sets import make_showroom
from uvtex.config import Augment, resolve
from uvtex.data.batch import Batch
from uvtex.data.recolour import DARKEST, draw, recoloured
from uvtex.data.store import PairStore
from uvtex.showroom.compose import compose

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PairStore:
    values = {"image_size": 32, "device": "cpu", "val_split": 0.34}
    return PairStore.open(make_showroom(tmp_path_factory.mktemp("set") / "set"), resolve(values))


def first(store: PairStore, augment: Augment | None = None, epoch: int = 1) -> Batch:
    return next(store.train_batches(6, 0, epoch, augment))


def test_views_are_those_of_the_recoloured_texture(store: PairStore) -> None:
    plates = store._contents.plates
    assert plates is not None
    batch = first(store)
    changed = recoloured(batch, plates, 1.0, "key")
    for view, camera in ((changed.pair.a, batch.camera_a), (changed.pair.b, batch.camera_b)):
        parts = (x[camera].float() for x in plates.parts)
        expected = compose((changed.pair.texture + 1) / 2, *parts) * 2 - 1
        # Views are bytes, and what is brighter than white was clipped.
        assert (view - expected).abs().mean() < 0.005
    apart = [(x - y).abs().mean() for x, y in zip(_parts(changed), _parts(batch), strict=True)]
    assert min(apart) > 0.02
    assert torch.equal(changed.pair.mask_a, batch.pair.mask_a)


def _parts(batch: Batch) -> tuple[torch.Tensor, ...]:
    return batch.pair.texture, batch.pair.a, batch.pair.b


def test_what_is_no_paint_stays(store: PairStore) -> None:
    plates = store._contents.plates
    assert plates is not None
    batch = first(store)
    changed = recoloured(batch, plates, 1.0, "key")
    for view, before, mask in (
        (changed.pair.a, batch.pair.a, batch.pair.mask_a),
        (changed.pair.b, batch.pair.b, batch.pair.mask_b),
    ):
        background = (mask == 0).expand_as(view)
        torch.testing.assert_close(view[background], before[background], atol=1e-5, rtol=0)


def test_colours_are_a_function_of_the_key_and_differ_from_sample_to_sample() -> None:
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


def test_training_sees_other_colours_at_each_epoch_and_validation_none(store: PairStore) -> None:
    augment = Augment(livery=1.0)
    plain = first(store).pair.texture
    textures = [first(store, augment, epoch).pair.texture for epoch in (1, 1)]
    assert torch.equal(*textures)
    assert not torch.equal(textures[0], plain)
    assert torch.equal(first(store, Augment()).pair.texture, plain)
    whole = next(store.val_batches(4)).pair.texture
    bytes_ = (whole + 1) * 127.5
    torch.testing.assert_close(bytes_, bytes_.round(), atol=1e-3, rtol=0)


def test_a_set_without_plates_keeps_its_colours(tiny_set: Path) -> None:
    photos = PairStore.open(tiny_set, resolve({"image_size": 32, "device": "cpu"}))
    plain, changed = first(photos), first(photos, Augment(livery=1.0))
    assert torch.equal(plain.pair.texture, changed.pair.texture)
    assert torch.equal(plain.pair.a, changed.pair.a)


def test_a_batch_that_names_no_cameras_is_refused(store: PairStore) -> None:
    plates = store._contents.plates
    assert plates is not None
    with pytest.raises(ValueError, match="which cameras"):
        recoloured(replace(first(store), camera_a=None), plates, 1.0, "key")
