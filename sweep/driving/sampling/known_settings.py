"""Which trials have which settings: finds at once whether a suggestion was trained already."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence

from optuna.trial import FrozenTrial

from sweep.driving.sampling import repeats
from sweep.study.config import StudyConfig
from sweep.study.search import space


class KnownSettings:
    """The trials of a study by their settings. It grows with the study.

    A fingerprint takes a millisecond. So trials are first told apart by those parameters that no
    two runs with the same settings differ in.
    """

    def __init__(self, study: StudyConfig, names: Collection[str]) -> None:
        """``names``: the parameters of a trial. A trial that lacks some is left out."""
        self._study, self._names = study, set(names)
        self._telling = [name for name in names if repeats.always_matters(study, name)]
        self._params: dict[int, Mapping[str, space.Value]] = {}
        self._groups: defaultdict[Hashable, list[int]] = defaultdict(list)
        self._fingerprints: dict[int, str] = {}
        self._settled = 0
        """So many of the first trials need not be looked at again."""

    def add(self, trials: Sequence[FrozenTrial]) -> None:
        """Takes in those of ``trials``, all trials by number, that it does not know yet."""
        for trial in trials[self._settled :]:
            if trial.number not in self._params and trial.params.keys() >= self._names:
                self._params[trial.number] = trial.params
                self._groups[self._rough(trial.number)].append(trial.number)
        for trial in trials[self._settled :]:
            if trial.number not in self._params and not trial.state.is_finished():
                break  # it gets its parameters later
            self._settled += 1

    def of(self, number: int) -> str | None:
        """The fingerprint of a trial; None if it is not known."""
        if number not in self._fingerprints and number in self._params:
            self._fingerprints[number] = repeats.fingerprint(self._study, self._params[number])
        return self._fingerprints.get(number)

    def earlier(self, number: int) -> Iterator[int]:
        """The trials before a known one that have its settings, in the order of taking in."""
        for other in self._groups[self._rough(number)]:
            if other < number and self.of(other) == self.of(number):
                yield other

    def _rough(self, number: int) -> Hashable:
        params = self._params[number]
        return tuple(params[name] for name in self._telling)
