"""Augmentation of views, masks and flows."""

from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from tests.data.batches import CONFIG, DEVICES, every, same
from uvtex.config import Augment
from uvtex.data.augment import augmented
from uvtex.data.store import PairStore

ALL = Augment(colour=0.3, affine=0.1, perspective=0.1, noise=0.05, blur=1.5)


@pytest.mark.parametrize("device", DEVICES)
def test_augmentation_depends_only_on_seed_epoch_and_step(tiny_set: Path, device: str) -> None:
    store = PairStore.open(tiny_set, CONFIG.model_copy(update={"device": device}))
    assert same(every(store, ALL), every(store, ALL))
    keys = [(0, 1), (0, 2), (1, 1)]
    firsts = [next(iter(store.train_batches(12, s, e, ALL))).pair.a.mean() for s, e in keys]
    assert len({float(first) for first in firsts}) == 3
    batch = next(iter(store.batches("val", 3)))
    steps = [augmented(batch, ALL, f"augment/0/1/{step}").pair.a for step in (0, 1)]
    assert not torch.equal(*steps)


def test_augmentation_that_is_off_changes_nothing(tiny_set: Path) -> None:
    store = PairStore.open(tiny_set, CONFIG)
    assert same(every(store), every(store, Augment()))
    batch = next(iter(store.batches("val", 2)))
    assert augmented(batch, Augment(), "key") is batch


# Backgrounds have their own test below, and liveries are in test_recolour.py.
APART = ("background", "livery")


@pytest.mark.parametrize("name", [n for n in Augment.model_fields if n not in APART])
def test_each_augmentation_changes_only_training_views(tiny_set: Path, name: str) -> None:
    store = PairStore.open(tiny_set, CONFIG)
    how = Augment(**{name: 0.2})
    plain, changed = (next(iter(store.train_batches(4, 0, 1, a))) for a in (None, how))
    moved = name in ("affine", "perspective")
    for field in fields(plain.pair):
        one, two = getattr(plain.pair, field.name), getattr(changed.pair, field.name)
        expected = field.name in ("a", "b") or (moved and field.name.startswith("mask"))
        assert torch.equal(one, two) != expected
        assert -1 <= two.min() <= two.max() <= 1
    assert plain.flow_a is not None
    assert changed.flow_a is not None
    assert torch.equal(plain.flow_a, changed.flow_a) != moved
    val = [torch.stack([b.pair.a.mean() for b in store.batches("val", 3)]) for _ in range(2)]
    assert torch.equal(*val)


def test_views_with_another_background_are_given_beside_the_views(tiny_set: Path) -> None:
    store = PairStore.open(tiny_set, CONFIG)
    plain, changed = (
        next(iter(store.train_batches(4, 0, 1, a))) for a in (None, Augment(background=1.0))
    )
    assert plain.shown_a is None
    assert torch.equal(plain.pair.a, changed.pair.a)
    assert changed.shown_a is not None
    difference = (changed.shown_a - plain.pair.a).abs()
    paint = plain.pair.mask_a.expand_as(difference)
    assert (difference[paint == 1] == 0).all()
    assert (difference[paint == 0] > 0).float().mean() > 0.9


@pytest.mark.parametrize(
    "how", [Augment(affine=0.25), Augment(perspective=0.2), Augment(affine=0.2, perspective=0.2)]
)
def test_augmentation_moves_the_flow_with_the_view(tiny_set: Path, how: Augment) -> None:
    """The changed view, sampled by the changed flow, still gives the texture."""
    store = PairStore.open(tiny_set, CONFIG)
    (batch,) = store.batches("val", 99)
    # A smooth ramp replaces the picture, so that resampling twice has a small error.
    ramp = F.interpolate(batch.pair.a[:, :, ::16, ::16], 32, mode="bicubic").clamp(-0.9, 0.9)
    batch = replace(batch, pair=replace(batch.pair, a=ramp))
    changed = augmented(batch, how, "key")
    before, after = (sample(b.pair.a, b.flow_a) for b in (batch, changed))
    assert changed.seen_a is not None
    assert changed.seen_a.mean() > 0.15
    assert changed.seen_a.mean() <= batch.seen_a.mean()
    stale = sample(changed.pair.a, batch.flow_a)
    errors = [
        ((x - before).abs() * changed.seen_a).sum() / changed.seen_a.sum() for x in (after, stale)
    ]
    assert errors[0] < 0.02
    assert errors[1] > 5 * errors[0]


def test_augmentation_moves_the_mask_with_the_view(tiny_set: Path) -> None:
    store = PairStore.open(tiny_set, CONFIG)
    (batch,) = store.batches("val", 99)
    pair = batch.pair
    shown = pair.mask_a.expand_as(pair.a) * 2 - 1  # the mask itself as the picture
    batch = replace(batch, pair=replace(pair, a=shown))
    changed = augmented(batch, Augment(affine=0.1, perspective=0.1), "key").pair
    # Outside the frame, views repeat their border and masks are 0, so the border is left out.
    inside = F.pad(torch.ones(1, 1, 26, 26), (3, 3, 3, 3)) > 0
    error = ((changed.a[:, :1] + 1) / 2 - changed.mask_a).abs()
    assert (error * inside).mean() < 0.01


def sample(view: torch.Tensor, flow: torch.Tensor | None) -> torch.Tensor:
    assert flow is not None
    return F.grid_sample(view, flow.permute(0, 2, 3, 1), padding_mode="border", align_corners=False)
