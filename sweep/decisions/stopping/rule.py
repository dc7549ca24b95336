"""The rule that stops probes: looks, forecast, ledger and audit, put together.

A rule is asked after each epoch. All that it knows is in the runs that it is given, so whoever has
their records can ask again and gets the same answer.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from sweep.decisions.stopping.audit import Evidence, Flagged, share
from sweep.decisions.stopping.curves import LOOKS, Array, Curves, epochs_seen, joint, prefix
from sweep.decisions.stopping.ledger import Ledger, judge
from sweep.decisions.stopping.outlook import Finished, Outlook
from sweep.study.look import Flag, Look


@dataclass(frozen=True)
class Run:
    """A run as the rule knows it."""

    settings: Hashable
    """What was tried. Runs of equal settings count as one configuration."""
    slacks: Mapping[int, Sequence[float]]
    """Epoch, counted from 1 -> signed distance of each metric to its threshold; >= 0 passes."""
    lr: Array | None
    """Learning rate of every epoch of the whole run, [E]; None: unknown."""
    loss_weights: Array | None
    """Weights of the loss terms in every epoch, [E, W]; None: unknown."""
    state: Literal["running", "ended", "stopped", "failed"] = "running"
    """``ended``: it made all its epochs. ``stopped``: the rule stopped it."""
    flag: Flag | None = None

    @cached_property
    def first(self) -> Array:
        """The slacks [t, J] of epochs 1 to t, the last before a gap."""
        return prefix(self.slacks)

    @cached_property
    def best(self) -> float:
        """The largest joint slack of an epoch so far; -inf before the first."""
        if not self.slacks:
            return -math.inf
        return float(joint(np.array(list(self.slacks.values()), dtype=np.float64)).max())

    @property
    def passed(self) -> bool:
        """Whether some epoch so far passes all thresholds."""
        return self.best >= 0


@dataclass(frozen=True)
class History:
    """What follows from the runs so far."""

    ledger: Ledger
    evidence: Evidence
    flagged: tuple[Flagged, ...]
    """The flagged runs whose fate is known."""
    stops: tuple[Flag, ...]
    """The flags of the runs that were stopped."""
    flags: int
    """All flagged runs, those in progress included."""
    unflagged_passes: int
    """Runs that passed and were never flagged."""
    learnt: tuple[Run, ...]
    """The runs to learn from, in the order in which they ended."""
    epochs: int
    """Of a whole run."""

    @cached_property
    def finished(self) -> Finished | None:
        """The curves that the forecast is learnt from; None before the first run has ended."""
        first = self.learnt[: fitted_runs(len(self.learnt))]
        return _finished(first, self.epochs) if first else None


def fitted_runs(runs: int) -> int:
    """How many of the first ``runs`` runs to learn from the forecast is learnt from.

    Up to 200 they are all. With more, one more changes nothing, and a fit takes long: it is learnt
    anew when they are a hundredth more.
    """
    return runs - runs % max(1, runs // 100)


def history(runs: Sequence[Run], epochs: int, risk: float) -> History:
    """What the rule knows.

    Args:
        runs: in the order in which they ended; those in progress anywhere.
        epochs: of a whole run.
        risk: see :class:`Ledger`.
    """
    evidence = Evidence()
    lost, audited, stopped, passed = 0.0, 0.0, 0, 0
    flagged: list[Flagged] = []
    learnt: list[Run] = []
    known: set[Hashable] = set()
    for run in runs:
        if run.flag is not None and run.flag.audited:
            audited += run.flag.chance
        if run.state == "running" or (run.state == "failed" and run.flag is None):
            continue
        if run.flag is not None:
            flagged.append(_fate(run, run.flag, epochs))
            if run.flag.audited:
                evidence = evidence.after(run.flag.chance, run.passed)
            elif run.state == "stopped":
                lost, stopped = lost + run.flag.chance, stopped + 1
        if run.state == "ended" and run.settings not in known:
            known.add(run.settings)
            learnt.append(run)
            passed += run.passed
    return History(
        Ledger(
            risk,
            lost=lost,
            risked=lost + audited,
            stopped=stopped,
            finished=len(learnt),
            passed=passed,
        ),
        evidence,
        tuple(flagged),
        stops=tuple(run.flag for run in runs if run.state == "stopped" and run.flag is not None),
        flags=sum(run.flag is not None for run in runs),
        unflagged_passes=sum(run.passed for run in learnt if run.flag is None),
        learnt=tuple(learnt),
        epochs=epochs,
    )


def _fate(run: Run, flag: Flag, epochs: int) -> Flagged:
    if not flag.audited:
        return Flagged(flag.chance, flag.share)
    extra = max(0, min(len(run.slacks), epochs) - flag.epoch)
    return Flagged(flag.chance, flag.share, run.passed, extra)


def _finished(runs: Sequence[Run], epochs: int) -> Finished:
    weights = [1 / run.flag.share if run.flag is not None else 1.0 for run in runs]
    return Finished(_curves(runs, epochs, epochs), np.array(weights))


def _curves(runs: Sequence[Run], seen: int, epochs: int) -> Curves:
    """The first ``seen`` epochs of runs. An epoch that is missing is NaN, the lowest value."""
    metrics = len(next(iter(runs[0].slacks.values())))
    slacks = np.full((len(runs), seen, metrics), np.nan)
    for row, run in enumerate(runs):
        made = run.first[:seen]
        slacks[row, : len(made)] = made
    rates, weights = [run.lr for run in runs], [run.loss_weights for run in runs]
    return Curves(
        slacks,
        lr=np.stack([r for r in rates if r is not None]) if _all_known(rates) else None,
        loss_weights=np.stack([w for w in weights if w is not None])
        if _all_known(weights)
        else None,
        length=epochs,
    )


def _all_known(values: Sequence[Array | None]) -> bool:
    return all(value is not None for value in values)


def due(run: Run, epochs: int, least: int, made: Sequence[int] = ()) -> tuple[int, int] | None:
    """The look that is due, and the epochs that it looks at; None if none is.

    It is the latest look whose epochs were all reported, unless it was made already. After a run
    was flagged none is due.

    Args:
        epochs: of the whole run.
        least: no look before so many epochs.
        made: epochs of the looks that were made.
    """
    if run.flag is not None:
        return None
    reported = len(run.first)
    for look in reversed(range(len(LOOKS))):
        seen = epochs_seen(look, epochs, least)
        if seen is not None and seen <= reported:
            return None if seen <= max(made, default=0) else (look, seen)
    return None


def judge_run(
    past: History,
    outlook: Outlook | None,
    run: Run,
    epochs: int,
    look: tuple[int, int],
    *,
    audit_coin: float,
    spared: bool = False,
) -> tuple[Look, Flag | None]:
    """What a look at ``run`` shows, and the flag if it raises one.

    The run is to be stopped if it has a flag that is not ``audited``.

    Args:
        past: of all runs of the study, this one included or not.
        outlook: the forecast learnt from ``past.finished``; None if there is none.
        epochs: of the whole run.
        look: by :func:`due`.
        audit_coin: the run's :func:`sweep.decisions.stopping.audit.coin`.
        spared: whether the run is never to be stopped.
    """
    number, seen = look
    chance = forecast = None
    least, worth = 0.0, 1.0
    if outlook is not None:
        curves = _curves([run], seen, epochs)
        forecast = outlook.forecast(curves, number, seen)
        chance = past.evidence.raise_chance(float(outlook.chance(curves, number, seen)[0]))
        least = past.evidence.raise_chance(float(outlook.least(curves, number, seen)[0]))
        worth = outlook.worth(past.ledger, past.evidence, 1 - seen / epochs)
    verdict = judge(past.ledger, chance, least=least, worth=worth, passes=run.passed, spared=spared)
    flag = None
    if verdict.raised and chance is not None:
        flag = raise_flag(past.flags, chance, seen, audit_coin)
    shown = Look(
        epoch=seen,
        chance=chance,
        forecast=forecast,
        fresh=past.ledger.base,
        reason=verdict.reason,
    )
    return shown, flag


def raise_flag(flags: int, chance: float, epoch: int, audit_coin: float) -> Flag:
    """The flag of a run after ``flags`` other flags."""
    audited = share(flags)
    return Flag(epoch=epoch, chance=chance, share=audited, audited=audit_coin < audited)
