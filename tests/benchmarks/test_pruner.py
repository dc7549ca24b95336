"""The benchmark of the pruner's cost times every kind of decision."""

from __future__ import annotations

from optuna.pruners import MedianPruner

from benchmarks.pruner import ours, theirs


def test_every_look_and_every_other_epoch_is_timed() -> None:
    times = ours(finished=14, epochs=10, repeats=2)
    assert {kind: len(found) for kind, found in times.items()} == {
        "first look": 1,
        "learnt anew": 1,
        "known": 6,
        "no look": 12,
    }
    assert len(theirs("median", MedianPruner(), 14, 10, 2)["median"]) == 20
