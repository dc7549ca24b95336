"""The summary of a study, and its file ``summary.json``."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, field_serializer

from sweep.study.config import StudyConfig
from sweep.study.folder import Gate, Stage, State
from uvtex.errors import UvtexError
from uvtex.files import write_atomic
from uvtex.thresholds import Threshold


class RunSummary(BaseModel):
    """One run of a study at its best epoch."""

    model_config = ConfigDict(frozen=True)

    trial: int
    stage: Stage
    label: str
    """See :attr:`sweep.study.folder.TrialRecord.label`."""
    state: State
    schedule: str
    epochs: int
    """How many epochs the run made."""
    of: int
    """How many epochs its stage has."""
    best_epoch: int
    metrics: dict[str, float]
    """Validation metrics of the best epoch, ``margin`` among them."""
    test: dict[str, float] | None = None
    """Metrics of the best checkpoint on the test side; None where it was not measured there."""
    reason: str
    """Whether the figures by which the run is judged pass the thresholds, and why, in a clause."""
    gate: Gate | None = None
    """The registry's answer; None if the registry was not asked or did not answer."""
    checkpoints: str
    """The folder of the run's checkpoints."""

    @property
    def told(self) -> dict[str, float]:
        """The figures that people are told first: those of the test side where there are any."""
        return self.metrics if self.test is None else self.test


class PruningFigures(BaseModel):
    """What the pruner did in a study, and what is known of its errors."""

    model_config = ConfigDict(frozen=True)

    flagged: int
    """Probes that were found not worth their remaining epochs, and whose fate is known."""
    audited: int
    """Those of them that went on nevertheless."""
    audited_passed: int
    """Those of the audited that passed."""
    estimate: float
    """The false-prune rate: probes stopped that would have passed, over all that would."""
    low: float
    """Lower end of its exact 95 % interval."""
    high: float
    epochs_saved: int
    """Epochs that the stopped probes did not make."""
    epochs_audited: int
    """Epochs that the audited probes made after their flag."""
    more_audits: int | None
    """Audits to come, all of which must fail, until at most 5 % can be said. None: unknown."""
    chances_raised: float
    """The factor by which audits that passed have raised the probabilities; 1: not at all."""


class Summary(BaseModel):
    """The state of a study: counts of runs, and the runs worth a line. None: there is no such run.

    ``summary.json`` holds the same keys. Its ``thresholds`` are sentences for people: the study's
    settings own the thresholds.
    """

    model_config = ConfigDict(frozen=True)

    study: str
    thresholds: tuple[Threshold, ...]
    probes: dict[str, int] = {}
    """State -> number of probes in it."""
    full_runs: dict[str, int] = {}
    """State -> number of full runs in it."""
    passed: bool = False
    """Whether a full run passed: see :func:`sweep.study.judged.has_passed`."""
    over: bool = False
    """Whether every run that the study asks for has ended."""
    champion: RunSummary | None = None
    """The full run that the registry made champion last, else the one that passed by most."""
    baseline: RunSummary | None = None
    """The run of the schedule ``baseline``, its full run if there is one."""
    nearest: RunSummary | None = None
    """The run with the greatest margin."""
    mean_colour: dict[str, float] | None = None
    """Validation metrics of a texture that is each livery's mean colour."""
    mean_colour_test: dict[str, float] | None = None
    """The same on the test side; None without one."""
    pruning: PruningFigures | None = None
    """What the pruner did; None if it flagged no probe."""
    failure: str | None = None
    """The last run that failed, its reason and its log."""
    outcome: str | None = None
    """How the last ``sweep run`` ended: ``done``, ``interrupted``, ``out of time``, ``ended
    early`` or ``disk nearly full``."""
    ending: str | None = None
    """Why it ended early, in a sentence; None if it did not."""
    report: str | None = None
    """The path of the study's report, if it could be written."""

    @property
    def all_failed(self) -> bool:
        """Whether runs were tried, and every one of them failed."""
        states = self.probes.keys() | self.full_runs.keys()
        return states == {"failed"}

    def to_dict(self) -> dict[str, Any]:
        """The summary as plain values, with the keys of ``summary.json``."""
        return self.model_dump()

    @field_serializer("thresholds")
    def _sentences(self, thresholds: tuple[Threshold, ...]) -> list[str]:
        return [str(threshold) for threshold in thresholds]


def write_summary(study: StudyConfig, summary: Summary) -> None:
    """Writes ``summary.json`` into the study's folder."""
    text = json.dumps(summary.to_dict(), indent=1) + "\n"
    write_atomic(study.paths.summary, text.encode(errors="backslashreplace"))


def read_summary(study: StudyConfig) -> Summary | None:
    """The summary in the study's folder; None if there is none yet.

    Raises:
        UvtexError: the file is damaged.
    """
    path = study.paths.summary
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Summary.model_validate({**values, "thresholds": study.thresholds})
    except FileNotFoundError:
        return None
    except (OSError, TypeError, ValueError) as error:
        raise UvtexError(
            f"{path}: cannot be read: {error}; remove the file, the next `sweep run` writes it anew"
        ) from error
