"""Simulated studies over recorded curves: what a policy stops, loses and saves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from benchmarks.promotion.task import Task


@dataclass(frozen=True)
class Trial:
    """One run of a simulated study. A policy reads its curve up to the points that it has run."""

    task: Task
    row: int
    number: int
    """From 0, in the order of the study."""


@dataclass(frozen=True)
class Fate:
    """What a policy did with a trial."""

    points: int
    """Points that were run."""
    flagged: int | None = None
    """Points seen when the policy wanted to stop it."""
    audited: bool = False
    """Flagged, and run to its end all the same."""
    chance: float = 1.0
    """The probability of passing when it was flagged."""
    forecasts: tuple[float, ...] = ()
    """The probability of passing at each look."""


class Judge(Protocol):
    """A policy in one study. It may remember the trials that it has followed."""

    def follow(self, trial: Trial) -> Fate:
        """Follows a trial point by point until it stops or ends."""
        ...


class Policy(Protocol):
    """A pruning rule with its settings; the state of a study lives in the judge."""

    def judge(self, task: Task, seed: int) -> Judge:
        """The rule at the start of a study over ``task``."""
        ...


@dataclass
class Study:
    """What came of one simulated study."""

    rows: list[int]
    fates: list[Fate]
    confirmed_after: int | None = None
    """Points run, replicates included, when the first champion was confirmed."""
    spent: int = 0
    """Points run in all, replicates included, until the first champion or else the end."""
    objective: list[tuple[int, float]] = field(default_factory=list)
    """Points run, and the best confirmed objective from then on."""
    audit: tuple[float, float, float, float] | None = None
    """Estimate, low, high of the audit's false-prune rate; and the true rate."""


def draw(task: Task, seed: int, replay: int) -> list[tuple[int, list[int]]]:
    """The study's trials in order, each with the rows of its replicates.

    Configurations are drawn without replacement; a seed of each is the trial, the others replicate.
    """
    random = np.random.default_rng([seed, replay])
    drawn = []
    for config in random.permutation(np.unique(task.config)):
        rows = random.permutation(np.flatnonzero(task.config == config))
        drawn.append((int(rows[0]), [int(row) for row in rows[1:]]))
    return drawn


def replay(task: Task, policy: Policy, seed: int, number: int) -> Study:
    """One simulated study. A trial that passes is replicated at once."""
    judge = policy.judge(task, seed * 1_000_003 + number)
    study = Study([], [])
    for order, (row, replicates) in enumerate(draw(task, seed, number)):
        fate = judge.follow(Trial(task, row, order))
        study.rows.append(row)
        study.fates.append(fate)
        study.spent += fate.points if study.confirmed_after is None else 0
        if fate.points == task.points and task.passes[row]:
            _confirm(study, task, row, replicates)
    audit = getattr(judge, "audit", None)
    study.audit = audit(task) if audit else None
    return study


def _confirm(study: Study, task: Task, row: int, replicates: Sequence[int]) -> None:
    """Runs replicates until half of all have passed, or can no longer."""
    needed = -(-len(replicates) // 2)
    passed = failed = 0
    for other in replicates:
        if passed >= needed or failed > len(replicates) - needed:
            break
        if study.confirmed_after is None:
            study.spent += task.points
        passed += bool(task.passes[other])
        failed += not task.passes[other]
    if passed < needed:
        return
    if study.confirmed_after is None:
        study.confirmed_after = study.spent
    value = float(task.objective[row, int(task.joint[row].argmax())])
    probes = sum(fate.points for fate in study.fates)
    if not study.objective or value > study.objective[-1][1]:
        study.objective.append((probes, value))
