"""Which trials have which settings: finds at once whether a suggestion was trained already."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from optuna.trial import FrozenTrial

from sweep.driving.sampling import repeats
from sweep.study.config import StudyConfig


class KnownSettings:
    """The trials of a study by the fingerprint of their settings. It grows with the study."""

    def __init__(self, study: StudyConfig, names: Collection[str]) -> None:
        """``names``: the parameters of a trial. A trial that lacks some is left out."""
        self._study, self._names = study, set(names)
        self._fingerprints: dict[int, str] = {}
        self._numbers: defaultdict[str, list[int]] = defaultdict(list)

    def add(self, trials: Sequence[FrozenTrial]) -> None:
        """Takes in those of ``trials`` that it does not know yet."""
        for trial in trials:
            if trial.number not in self._fingerprints and trial.params.keys() >= self._names:
                found = repeats.fingerprint(self._study, trial.params)
                self._fingerprints[trial.number] = found
                self._numbers[found].append(trial.number)

    def of(self, number: int) -> str | None:
        """The fingerprint of a trial; None if it is not known."""
        return self._fingerprints.get(number)

    def numbers(self, fingerprint: str) -> Sequence[int]:
        """The trials with this fingerprint, in the order in which they were taken in."""
        return self._numbers.get(fingerprint, ())
