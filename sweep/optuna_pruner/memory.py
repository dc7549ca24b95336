"""An Optuna study as the rule knows it: its trials as runs, and what is learnt from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from sweep.decisions.stopping.curves import Array
from sweep.decisions.stopping.outlook import Outlook, fit
from sweep.decisions.stopping.rule import History, Run, history
from sweep.optuna_pruner.records import FLAG, Record, read
from sweep.optuna_pruner.terms import Terms
from sweep.study.look import Flag


@dataclass(frozen=True)
class Planned:
    """What finished trials said in advance, so that all trials have the same features."""

    lr: bool = False
    loss_weights: tuple[str, ...] = ()
    """Names of the loss terms."""


@dataclass(frozen=True)
class Learnt:
    """What a look is judged by."""

    past: History
    outlook: Outlook | None
    planned: Planned


class Memory:
    """What is remembered of one study between looks. A finished trial is read once.

    A finished trial tells nothing if no epoch, or not every epoch, has the thresholds' metrics.
    """

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._lock = Lock()
        self._read: set[int] = set()
        self._known: dict[int, tuple[FrozenTrial, Record]] = {}
        self._runs: dict[int, Run] = {}
        self._flagged: dict[int, object] = {}
        self._learnt = Learnt(history([], terms.epochs, terms.risk), None, Planned())

    def learn(self, trials: Sequence[FrozenTrial]) -> Learnt:
        """What follows from all trials of the study. Several threads may call it."""
        with self._lock:
            flagged = {
                one.number: one.user_attrs[FLAG]
                for one in trials
                if one.state == TrialState.RUNNING and FLAG in one.user_attrs
            }
            if self._take_in(trials) or flagged != self._flagged:
                self._flagged = flagged
                self._learn([_in_progress(flag) for flag in flagged.values()])
            return self._learnt

    def _learn(self, going_on: Sequence[Run]) -> None:
        planned = _planned(record for _, record in self._known.values())
        if planned != self._learnt.planned:
            self._runs.clear()
        for number, (trial, record) in self._known.items():
            if number not in self._runs:
                self._runs[number] = _finished(trial, record, self._terms, planned)
        in_order = [self._runs[number] for number in sorted(self._known, key=self._when)]
        past = history([*in_order, *going_on], self._terms.epochs, self._terms.risk)
        outlook, before = self._learnt.outlook, self._learnt.past.finished
        if past.finished is not None and (
            before is None or len(past.finished.curves) != len(before.curves)
        ):
            outlook = fit(past.finished)
        self._learnt = Learnt(past, outlook, planned)

    def _when(self, number: int) -> tuple[datetime, int]:
        return self._known[number][0].datetime_complete or datetime.min, number

    def _take_in(self, trials: Sequence[FrozenTrial]) -> bool:
        """Reads the trials that have finished since the last call; whether one tells something."""
        before = len(self._known)
        for trial in trials:
            if trial.state.is_finished() and trial.number not in self._read:
                self._read.add(trial.number)
                record = read(trial.user_attrs)
                judged = len(record.slacks(self._terms.thresholds))
                if record.metrics and judged == len(record.metrics):
                    self._known[trial.number] = trial, record
        return len(self._known) > before


def run_in_progress(record: Record, terms: Terms, planned: Planned) -> Run:
    """The rule's run of a trial that goes on."""
    lr, loss_weights = _schedule(record, terms.epochs, planned)
    return Run((), record.slacks(terms.thresholds), lr, loss_weights, flag=record.flag)


def _in_progress(kept: object) -> Run:
    """A flagged trial as the ledger counts it: once told to stop, it counts as stopped."""
    flag = Flag.model_validate(kept)
    return Run((), {}, None, None, state="running" if flag.audited else "stopped", flag=flag)


def _finished(trial: FrozenTrial, record: Record, terms: Terms, planned: Planned) -> Run:
    """The rule's run of a finished trial.

    Stopped is a trial that was told to and left epochs out, whether it was pruned or returned a
    value. If it made them all, its flag is void. A trial that others pruned counts as failed: how
    it would have ended is unknown. An epoch that an ended trial left out is NaN, since it will not
    come.
    """
    slacks = record.slacks(terms.thresholds)
    lr, loss_weights = _schedule(record, terms.epochs, planned)
    run = Run(_settings(trial), slacks, lr, loss_weights, state="failed", flag=record.flag)
    told = record.is_to_stop(terms.thresholds)
    if trial.state != TrialState.FAIL and told and max(slacks) < terms.epochs:
        return replace(run, state="stopped")
    if record.flag is not None and not record.flag.audited:
        run = replace(run, flag=None)
    if trial.state != TrialState.COMPLETE:
        return run
    missing = [math.nan] * len(terms.thresholds)
    filled = {epoch: slacks.get(epoch, missing) for epoch in range(1, max(slacks) + 1)}
    return replace(run, slacks=filled, state="ended")


def _settings(trial: FrozenTrial) -> tuple[object, ...]:
    """Trials of equal parameters are one configuration; without any, each is its own."""
    return tuple(sorted(trial.params.items())) or (trial.number,)


def _planned(records: Iterable[Record]) -> Planned:
    made = list(records)
    terms = {term for record in made for term in record.loss_weights or ()}
    return Planned(any(record.lr is not None for record in made), tuple(sorted(terms)))


def _schedule(record: Record, epochs: int, planned: Planned) -> tuple[Array | None, Array | None]:
    """Learning rate [E] and loss weights [E, W], NaN where unknown; None if unknown of all."""
    lr = _row(record.lr, epochs) if planned.lr else None
    weights = record.loss_weights or {}
    rows = [_row(weights.get(term), epochs) for term in planned.loss_weights]
    return lr, np.stack(rows, axis=1) if rows else None


def _row(values: Sequence[float] | None, epochs: int) -> Array:
    """``values`` [E]; of another length, and None, are unknown."""
    if values is None or len(values) != epochs:
        return np.full(epochs, np.nan)
    return np.asarray(values, dtype=np.float64)
