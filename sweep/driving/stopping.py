"""Which probes of a study are stopped early: the records of its probes, told to the rule."""

from __future__ import annotations

import math
from collections.abc import Iterable

from sweep.decisions.ending import Ending, fresh_draw, judge_ending
from sweep.decisions.stopping import rule
from sweep.decisions.stopping.audit import coin
from sweep.decisions.stopping.outlook import Outlook, fit
from sweep.decisions.stopping.probes import as_run
from sweep.driving.active_run import ActiveRun
from sweep.study.config import StudyConfig
from sweep.study.folder import SEARCHED, UNFINISHED, TrialRecord
from sweep.study.look import Flag, Look
from sweep.study.search import space
from uvtex.runs.epochs import EpochReport

LEAST_PROBES = 20
"""Fewer probes than this are no reason to give up a study."""


class Stopping:
    """The rule, with what it knows of one study. A new driver tells it all probes again."""

    def __init__(self, study: StudyConfig) -> None:
        self._study = study
        self._ended: dict[int, tuple[float, rule.Run]] = {}
        self._flagged: dict[int, Flag] = {}
        self._earlier: list[rule.Run] = []
        self._past: rule.History | None = None
        """None: another run has ended since."""
        self._outlook: Outlook | None = None
        self._learnt = 0

    def learn(self, run: ActiveRun) -> None:
        """Takes in a probe that ended, was stopped or failed, or that was flagged and goes on."""
        record = run.record
        if record.stage != "probe":
            return
        self._past = None
        if record.flag is not None:
            self._flagged[record.trial] = record.flag
        if record.state not in UNFINISHED:
            ended = math.inf if record.ended is None else record.ended
            self._ended[record.trial] = ended, self._run(run)

    def learn_earlier(self, probes: Iterable[tuple[TrialRecord, list[EpochReport]]]) -> None:
        """Takes in probes of earlier studies on the same data, with the same settings of a run.

        Only those that ran to their end tell something. What pruning cost there does not count.
        """
        thresholds = self._study.thresholds_of("probe")
        self._past = None
        for record, reports in probes:
            config = space.train_config(self._study, "probe", record.params)
            run = as_run(
                record.model_copy(update={"flag": None}), _metrics(reports), thresholds, config
            )
            if run.state == "ended":
                self._earlier.append(run)

    def look(self, run: ActiveRun) -> tuple[Look, Flag | None] | None:
        """The look that is due at a probe, and the flag if it raises one; None if none is due."""
        study, record = self._study, run.record
        if record.stage != "probe" or not study.pruning.enabled:
            return None
        known = self._run(run)
        made = [look.epoch for look in record.looks]
        due = rule.due(known, record.epochs, study.pruning.min_epochs, made)
        if due is None:
            return None
        past = self.history()
        return rule.judge_run(
            past,
            self._fitted(past),
            known,
            record.epochs,
            due,
            audit_coin=coin(study.search.seed, record.trial),
            spared=record.schedule != SEARCHED,
        )

    def history(self) -> rule.History:
        """What follows from the probes so far."""
        if self._past is None:
            self._past = self._history()
        return self._past

    def _history(self) -> rule.History:
        ended = [run for _, run in sorted(self._ended.values(), key=lambda pair: pair[0])]
        going_on = [
            rule.Run((), {}, None, None, flag=flag)
            for trial, flag in self._flagged.items()
            if trial not in self._ended
        ]
        epochs, risk = self._study.stages.probe, self._study.pruning.risk
        return rule.history([*self._earlier, *ended, *going_on], epochs, risk)

    def ending(self, remaining: int) -> Ending | None:
        """Whether the ``remaining`` probes are worth their time; None if too few have ended.

        A probe that passed is reason enough to go on.
        """
        ended = [run for _, run in self._ended.values() if run.state != "failed"]
        if len(ended) < LEAST_PROBES or not remaining or any(run.passed for run in ended):
            return None
        margins = [run.best for run in ended if run.state == "ended"]
        # As the ledger has it. To make the whole history again for each trial would take long.
        stopped = (run.flag for run in ended if run.state == "stopped")
        lost = math.fsum(flag.chance for flag in stopped if flag is not None and not flag.audited)
        return judge_ending(
            len(ended), remaining, min(lost, float(len(ended))), fresh_draw(margins)
        )

    def _fitted(self, past: rule.History) -> Outlook | None:
        """The forecast, learnt anew when enough probes have ended since."""
        count = rule.fitted_runs(len(past.learnt))
        if count != self._learnt and past.finished is not None:
            self._learnt = count
            self._outlook = fit(past.finished)
        return self._outlook

    def _run(self, run: ActiveRun) -> rule.Run:
        return as_run(
            run.record,
            _metrics(run.reports.values()),
            self._study.thresholds_of("probe"),
            run.config,
        )


def _metrics(reports: Iterable[EpochReport]) -> list[tuple[int, dict[str, float]]]:
    return [(report.epoch, report.val) for report in reports]
