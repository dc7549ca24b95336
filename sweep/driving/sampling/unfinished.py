"""Which trials of a study have no result yet, without a look at all of thousands."""

from __future__ import annotations

from collections.abc import Sequence

from optuna.trial import FrozenTrial


class Unfinished:
    """The trials that have no result yet. It grows with the study.

    A trial that has a result keeps it, so it is looked at once.
    """

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._seen = 0
        """So many trials were looked at."""

    def take(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Looks at the trials anew, and returns those that have got a result since, by number.

        Args:
            trials: all trials, by number, at least those of the last call.
        """
        looked = [trials[n] for n in (*self._numbers, *range(self._seen, len(trials)))]
        self._numbers = [trial.number for trial in looked if not trial.state.is_finished()]
        self._seen = max(self._seen, len(trials))
        return [trial for trial in looked if trial.state.is_finished()]

    def of(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Those of ``trials`` that have no result, by number; see :meth:`take`."""
        self.take(trials)
        return [trials[number] for number in self._numbers]
