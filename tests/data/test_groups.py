"""Groups of views of one livery, and further views of a training batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.models.small_atlas import config
from tests.sets import make_set, make_showroom
from uvtex.config import resolve
from uvtex.data.storage.groups import grouped, load_groups
from uvtex.data.store import PairStore
from uvtex.errors import ConfigError
from uvtex.models.cameras import Cameras


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PairStore:
    folder = tmp_path_factory.mktemp("groups") / "set"
    return PairStore.open(make_showroom(folder, liveries=6, cameras=5), config())


def test_each_group_has_one_livery_and_no_view_is_in_two_groups() -> None:
    liveries = ["red", "blue"] * 5 + ["green"]
    groups = grouped(liveries, 2)
    assert len(groups) == 4
    assert all(len({liveries[i] for i in group}) == 1 for group in groups)
    used = [i for group in groups for i in group]
    assert len(set(used)) == len(used) == 8
    assert grouped(liveries, 2) == groups
    assert not grouped(liveries, 6)


def test_groups_hold_the_views_and_the_texels_that_any_of_them_sees(store: PairStore) -> None:
    groups = grouped(store.liveries(store.val), 2)
    parts = list(load_groups(store.loaded, store.val, groups, 3))
    assert sum(len(part.views) for part in parts) == len(groups) == 4
    assert parts[0].views.shape == (3, 2, 3, 32, 32)
    assert [int(place) for part in parts for place in part.places] == [g[0] for g in groups]
    first = store.loaded.rows(torch.tensor([store.val[i] for i in groups[0]]))
    views = store.loaded.take_views(first).float() / 127.5 - 1
    torch.testing.assert_close(parts[0].views[0], views)
    assert store.loaded.maps is not None
    seen = store.loaded.maps.seen[first.part("map").device].any(dim=0)
    assert parts[0].seen is not None
    assert torch.equal(parts[0].seen[0] > 0, seen)


def test_further_views_show_the_livery_in_the_colours_of_the_batch(store: PairStore) -> None:
    """Recolouring changes them too. The exact renderer gives them from the batch's texture."""
    assert store.bank is not None
    cameras = Cameras(store.bank)
    counts = set()
    for batch in store.train_batches(4, 0, 1, config().augment, views=4):
        counts.add(0 if batch.more is None else batch.more.shape[1])
        if batch.more is None:
            continue
        assert batch.more_cameras is not None
        for m in range(batch.more.shape[1]):
            shown = cameras.render(batch.pair.texture[:, None], batch.more_cameras[:, m])[:, 0]
            assert float((shown - batch.more[:, m]).abs().mean()) < 0.02
    assert counts <= {0, 1, 2, 3}
    assert len(counts) > 1


def test_batches_of_one_view_are_those_without_the_setting(store: PairStore) -> None:
    plain = store.train_batches(4, 0, 1, config().augment)
    for one, other in zip(plain, store.train_batches(4, 0, 1, config().augment, 3), strict=True):
        assert torch.equal(one.pair.a, other.pair.a)
        assert torch.equal(one.pair.b, other.pair.b)
        assert one.more is None


def test_further_views_differ_from_the_pair_while_there_are_enough(store: PairStore) -> None:
    partners, sample = store.partners, store.train[0]
    partner = partners.draw(sample, "key")
    more = partners.more(sample, partner, 3, "key")
    assert len({sample, partner, *more}) == 5
    assert partners.more(sample, partner, 5, "key")[3:] == more[:2]
    assert more == partners.more(sample, partner, 3, "key")


def test_a_livery_of_one_view_repeats_it(tmp_path: Path) -> None:
    store = PairStore.open(make_set(tmp_path / "set", liveries=6, cameras=1), config())
    (batch, *_) = [b for b in store.train_batches(2, 0, 1, None, 4) if b.more is not None]
    assert batch.more is not None
    assert torch.equal(batch.more[:, 0], batch.pair.a)


@pytest.mark.parametrize("setting", ["views", "refiner_depth"])
def test_poc05_takes_one_view_and_has_no_refiner(setting: str) -> None:
    with pytest.raises(ConfigError, match=f"{setting} must be 1 with preset poc05, got 2"):
        resolve({setting: 2})
    assert getattr(resolve({setting: 2, "preset": "atlas"}), setting) == 2
