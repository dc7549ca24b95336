"""The split into training, validation and test."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from uvtex.config import TrainConfig, resolve
from uvtex.data.splits import Sides, split
from uvtex.errors import ConfigError, DataError

NAMES = st.lists(st.sampled_from("abcdefghijkl"), min_size=2, max_size=60).filter(
    lambda names: len(set(names)) > 1
)
SHARES = st.floats(0.01, 0.98)
SEEDS = st.integers(0, 99)
BY = st.sampled_from(["livery", "sample"])


def sides_or_reject(*args: Any) -> Sides:
    try:
        return split(*args)
    except DataError:
        assume(False)
        raise


@given(NAMES, BY, SHARES, st.floats(0, 0.98), SEEDS)
def test_sides_are_disjoint_and_hold_every_record(
    names: list[str], by: str, val: float, test: float, seed: int
) -> None:
    assume(val + test < 1)
    sides = sides_or_reject(names, by, val, seed, test)
    assert sorted(sides.train + sides.val + sides.test) == list(range(len(names)))
    assert sides.train
    assert sides.val
    assert bool(sides.test) == (test > 0)
    assert all(side == sorted(side) for side in sides)
    if by == "livery":
        train, held, kept = ({names[i] for i in side} for side in sides)
        assert len(train) + len(held) + len(kept) == len(set(names))


@given(NAMES, BY, SHARES, SHARES, SEEDS)
def test_validation_is_the_same_with_any_test_side(
    names: list[str], by: str, val: float, test: float, seed: int
) -> None:
    assume(val + test < 1)
    three = sides_or_reject(names, by, val, seed, test)
    two = split(names, by, val, seed)
    assert three.val == two.val
    assert sorted(three.train + three.test) == two.train


@pytest.mark.parametrize(
    ("seed", "tenth", "third", "samples"),
    [
        (0, [12, 15], [1, 9, 12, 13, 15, 16, 19], [9, 10, 11]),
        (1, [10, 15], [0, 3, 9, 10, 11, 12, 15], [0, 1, 11]),
        (7, [9, 19], [0, 2, 4, 5, 9, 18, 19], [3, 5, 7]),
    ],
)
def test_validation_is_that_of_versions_without_a_test_side(
    seed: int, tenth: list[int], third: list[int], samples: list[int]
) -> None:
    names = [f"livery{i}" for i in range(20)]
    assert split(names, "livery", 0.1, seed, 0.2).val == tenth
    assert split(names, "livery", 0.34, seed, 0.2).val == third
    assert split(["a"] * 12, "sample", 0.25, seed, 0.2).val == samples


@given(NAMES, st.lists(st.integers(0, 59), max_size=30), SHARES, SHARES, SEEDS)
def test_more_records_of_the_same_liveries_move_no_livery(
    names: list[str], again: list[int], val: float, test: float, seed: int
) -> None:
    assume(val + test < 1)
    sides = sides_or_reject(names, "livery", val, seed, test)
    more = [*names, *(names[i % len(names)] for i in again)]
    random.Random(seed).shuffle(more)
    found = split(more, "livery", val, seed, test)
    for before, after in zip(sides, found, strict=True):
        assert {names[i] for i in before} == {more[i] for i in after}


@given(st.integers(10, 300), st.floats(0.1, 0.4), st.floats(0.1, 0.4), SEEDS)
def test_the_sides_have_their_shares(count: int, val: float, test: float, seed: int) -> None:
    sides = split([f"{i}" for i in range(count)], "livery", val, seed, test)
    assert len(sides.val) == pytest.approx(val * count, abs=0.5)
    assert len(sides.test) == pytest.approx(test * count, abs=0.5)


def test_the_split_seed_and_not_the_seed_decides() -> None:
    from uvtex.data.store import DataKey

    one, two, other = (
        DataKey.of(resolve({"test_split": 0.2, **change}))
        for change in ({}, {"seed": 3}, {"split_seed": 3})
    )
    assert one == two != other
    names = [f"{i}" for i in range(30)]
    assert split(names, "livery", 0.1, 0, 0.2).test != split(names, "livery", 0.1, 3, 0.2).test


def test_a_split_by_sample_shares_liveries() -> None:
    names = ["a"] * 10 + ["b"] * 10
    sides = split(names, "sample", 0.1, 0, 0.2)
    assert [len(side) for side in sides] == [14, 2, 4]
    assert {names[i] for i in sides.train} >= {names[i] for i in sides.val}


# Small sets


def test_one_livery_cannot_be_split() -> None:
    with pytest.raises(DataError, match="at least two"):
        split(["a", "a"], "livery", 0.5, 0)


def test_three_liveries_can_have_three_sides() -> None:
    sides = split(["a", "b", "c"], "livery", 0.1, 0, 0.1)
    assert [len(side) for side in sides] == [1, 1, 1]


def test_a_set_too_small_for_three_sides_says_what_it_would_take() -> None:
    with pytest.raises(DataError) as caught:
        split(["a", "b", "b"], "livery", 0.1, 0, 0.1)
    assert str(caught.value) == (
        "a split by livery into training, validation and test (0.8, 0.1, 0.1) needs 10 liveries, "
        "one for the smallest side, and the set has 2; add more, or set test_split to 0: the run "
        "then has no test side"
    )


@given(SHARES, SHARES, SEEDS)
def test_as_many_liveries_as_the_message_asks_for_are_enough(
    val: float, test: float, seed: int
) -> None:
    assume(val + test < 0.99)
    try:
        split(["a", "b"], "livery", val, seed, test)
    except DataError as error:
        needed = int(str(error).partition("needs ")[2].split()[0])
        assert all(split([f"{i}" for i in range(needed)], "livery", val, seed, test))


def test_shares_that_leave_nothing_to_train_on_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"val_split \+ test_split must be below 1, got 0\.6"):
        resolve({"val_split": 0.6, "test_split": 0.4})


def test_saved_settings_that_do_not_name_a_test_side_have_none() -> None:
    old = TrainConfig().model_dump(mode="json")
    del old["test_split"]
    assert TrainConfig.model_validate(old).test_split == 0
