"""Our rule in a simulated study: forecast, ledger and audit of ``sweep.decisions``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from benchmarks.promotion.replay import Fate, Judge, Trial
from benchmarks.promotion.task import Array, Task
from sweep.decisions.stopping.audit import Evidence, Flagged, audit, coin
from sweep.decisions.stopping.curves import LOOKS, Curves, epochs_seen
from sweep.decisions.stopping.ledger import Ledger, judge
from sweep.decisions.stopping.outlook import Finished, Kind, fit
from sweep.decisions.stopping.rule import raise_flag
from sweep.study.config import Pruning

LEAST = Pruning().min_epochs
"""No look before so many points: a study file's default."""


class Forecast(Protocol):
    """What looks at curves in progress."""

    def chance(self, curves: Curves, look: int, seen: int) -> Array:
        """P(pass) of each curve."""
        ...

    def least(self, curves: Curves, look: int, seen: int) -> Array:
        """The chance of each curve if it seems sure to fail."""
        ...

    def worth(self, ledger: Ledger, evidence: Evidence, saved: float) -> float:
        """The largest chance that a flag may cost where it saves so much of a run."""
        ...


@dataclass(frozen=True)
class Ours:
    """The rule, with the forecast's kind. It refits when a fifth more runs have ended."""

    kind: Kind
    risk: float = 0.05
    earlier: tuple[Task, ...] = ()
    """Tasks whose curves are the forecast's prior."""
    growth: float = 1.2
    guard: float = Ledger.guard
    learn: Callable[[Finished, Sequence[Finished], Kind], Forecast | None] = fit
    """Makes the forecast; the rivals' are in :mod:`benchmarks.promotion.policies.rivals`."""

    def prior(self) -> list[Finished]:
        """One run of each configuration of the earlier tasks."""
        firsts = [(task, np.unique(task.config, return_index=True)[1]) for task in self.earlier]
        return [Finished(curves(task, list(rows)), np.ones(len(rows))) for task, rows in firsts]

    def judge(self, task: Task, seed: int) -> Judge:
        """A judge with an empty ledger."""
        return OursJudge(self, task, seed, Ledger(self.risk, self.guard))


@dataclass
class OursJudge:
    """The rule in one study."""

    rule: Ours
    task: Task
    seed: int
    ledger: Ledger
    rows: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    flagged: list[tuple[int, Flagged]] = field(default_factory=list)
    evidence: Evidence = field(default_factory=Evidence)
    table: Array = field(default_factory=lambda: np.empty((0, 0)))
    """P(pass) [looks, rows] by the last fit."""
    model: Forecast | None = None
    """The last fit."""
    fitted: int = 0

    def follow(self, trial: Trial) -> Fate:
        """Looks at the trial at the fixed parts of the run."""
        points, joint = self.task.points, self.task.joint[trial.row]
        self._learn()
        chances: list[float] = []
        for look in range(len(LOOKS)):
            seen = epochs_seen(look, points, LEAST)
            if seen is None or self.model is None or joint[:seen].max() >= 0:
                continue
            chance = self.evidence.raise_chance(float(self.table[look, trial.row]))
            chances.append(chance)
            part = curves(self.task, [trial.row], seen)
            least = self.evidence.raise_chance(float(self.model.least(part, look, seen)[0]))
            worth = self.model.worth(self.ledger, self.evidence, 1 - seen / points)
            if judge(self.ledger, chance, least=least, worth=worth).raised:
                return self._flag(trial, seen, chance, tuple(chances))
        self._end(trial.row, 1.0)
        return Fate(points, forecasts=tuple(chances))

    def audit(self, task: Task) -> tuple[float, float, float, float]:
        """The audit at the end of the study, and the true rate."""
        told = audit([one for _, one in self.flagged], self._never_flagged())
        lost = sum(bool(task.passes[row]) for row, one in self.flagged if one.passed is None)
        good = self.ledger.passed + lost
        return told.estimate, told.low, told.high, lost / good if good else 0.0

    def _never_flagged(self) -> int:
        return self.ledger.passed - sum(bool(one.passed) for _, one in self.flagged)

    def _flag(self, trial: Trial, seen: int, chance: float, chances: tuple[float, ...]) -> Fate:
        raised = raise_flag(len(self.flagged), chance, seen, coin(self.seed, trial.number))
        q = raised.share
        if not raised.audited:
            self.flagged.append((trial.row, Flagged(chance, q)))
            self.ledger = self.ledger.stop(chance)
            return Fate(seen, seen, False, chance, chances)
        self.ledger = self.ledger.flagged(chance)
        passed = bool(self.task.passes[trial.row])
        extra = self.task.points - seen
        self.flagged.append((trial.row, Flagged(chance, q, passed, extra)))
        self.evidence = self.evidence.after(chance, passed)
        self._end(trial.row, 1 / q)
        return Fate(self.task.points, seen, True, chance, chances)

    def _end(self, row: int, weight: float) -> None:
        self.rows.append(row)
        self.weights.append(weight)
        self.ledger = self.ledger.ended(bool(self.task.passes[row]))

    def _learn(self) -> None:
        """Fits anew when enough trials have ended, and forecasts all curves to come at every look.

        A forecast reads a curve up to its look only, so that all at once are those one by one.
        """
        if self.model is not None and len(self.rows) < self.rule.growth * self.fitted:
            return
        if not self.rows:
            return
        finished = Finished(curves(self.task, self.rows), np.array(self.weights))
        model = self.rule.learn(finished, self.rule.prior(), self.rule.kind)
        self.fitted = len(self.rows)
        if model is None:
            return
        rows = np.setdiff1d(np.arange(len(self.task.joint)), self.rows)
        self.model = model
        self.table = np.full((len(LOOKS), len(self.task.joint)), np.nan)
        for look in range(len(LOOKS)):
            seen = epochs_seen(look, self.task.points, LEAST)
            if seen is not None:
                part = curves(self.task, list(rows), seen)
                self.table[look, rows] = model.chance(part, look, seen)


def curves(task: Task, rows: list[int], seen: int | None = None) -> Curves:
    """Rows of a task for the forecast, cut after ``seen`` points; the schedule is known whole."""
    slacks = task.slacks[rows, :seen]
    lr = None if task.lr is None else task.lr[rows]
    weights = None if task.loss_weights is None else task.loss_weights[rows]
    return Curves(slacks, lr, weights, length=task.points)
