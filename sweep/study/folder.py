"""The files of a study on disk, and the record of each of its runs (``trial.json``)."""

from __future__ import annotations

import hashlib
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from sweep.study.cleaned import Cleaned
from sweep.study.database import sqlite_url
from sweep.study.look import Flag, Look
from uvtex.errors import UvtexError
from uvtex.files import write_atomic
from uvtex.settings import Settings
from uvtex.typed.names import FileName

Stage = Literal["probe", "full"]
RUN_NAME = re.compile(r"probe|full(-[1-9]\d*)?")
"""The names of runs, see :attr:`TrialRecord.name`."""
RunKey = tuple[int, str]
"""A run of a study: its trial, and :attr:`TrialRecord.name`."""
State = Literal["running", "interrupted", "complete", "pruned", "promoted", "failed"]

UNFINISHED = ("running", "interrupted")
"""The states of a run that the next driver resumes."""

DEFAULT_STORE = Path("mlruns")
_FILE_NAME: TypeAdapter[str] = TypeAdapter(FileName)
RECORD = "trial.json"
WORKER_LOG = "worker.log"
"""In a trial directory: what its worker printed."""
SEARCHED = "search"
"""The schedule name of trials that Optuna chose. Queued trials have a name of their own."""


class ThresholdTest(Settings):
    """The test of one threshold over a trial's replicates, in the metric's own units."""

    metric: str
    threshold: str
    """In words, such as ``ssim_uv >= 0.245``."""
    passed: bool
    replicates: int
    mean: float
    """Mean of the metric over the replicates."""
    low: float
    """Lower end of the mean's interval. Each end is valid at 95 %."""
    high: float
    deviation: float
    """The calibrated standard deviation over seeds."""
    degrees: int
    """Its degrees of freedom."""
    critical: float
    """How many standard errors the mean has to be on the good side of the threshold."""
    error: float
    """Probability of passing, over all looks together, where the true mean is on the threshold."""


class Gate(Settings):
    """What was decided on a trial whose full runs have ended, and what the registry answered."""

    registered: bool
    version: str | None = None
    champion: bool = False
    """Whether the run became the champion. A later run may have replaced it since."""
    reason: str
    tests: tuple[ThresholdTest, ...] = ()
    """One for each threshold; empty where the study allows one full run."""
    seeds: tuple[int, ...] = ()
    """The seeds of the full runs whose figures the registry was told."""
    undecided: bool = False
    """Whether more seeds that the champion has too could still decide who is champion."""
    rival: int | None = None
    """Where undecided: the champion's trial, if it is of this study."""
    override: str | None = None
    """The reason of a person who made the run champion without regard to the rule."""
    unproven: bool = False
    """Whether the run was registered although its trial was not admitted."""
    at: float | None = None
    """When the registry answered, in Unix seconds."""


class TrialRecord(Settings):
    """One run of one trial: the probe, or the full run after it.

    A probe that passed is ``promoted``. A probe that ended without passing is ``complete``, and so
    is every full run that ended. A run is ``running`` only while a driver runs it. If its driver
    stops, it is ``interrupted``. A driver that is killed cannot write that, so readers use
    :func:`sweep.study.lease.shown_records`.
    """

    trial: int = Field(ge=0)
    """Optuna's trial number."""
    stage: Stage
    replicate: int = Field(default=1, ge=1)
    """The number of this run among the trial's runs of the stage. Each has a seed of its own."""
    seed: int | None = Field(default=None, ge=0)
    """The run's seed; None: the seed of the study's train settings."""
    state: State = "running"
    schedule: str
    """The name of a queued schedule, or :data:`SEARCHED`."""
    params: dict[str, int | float | str]
    """Optuna's parameters, see :mod:`sweep.study.search.space`."""
    epochs: int = Field(ge=1)
    """Number of epochs of the stage. A pruned run made fewer."""
    reason: str | None = None
    """Why the run ended in this state, as a sentence."""
    looks: tuple[Look, ...] = ()
    """What the pruner saw of a probe, look by look."""
    flag: Flag | None = None
    """Set when the pruner found the probe not worth its remaining epochs."""
    second_look: bool = False
    """Whether a probe that nearly passed is run in full, since time was left and none passed."""
    best_epoch: int | None = Field(default=None, ge=1)
    """The epoch with the best margin so far."""
    retries: int = Field(default=0, ge=0)
    """How many times the run went on in a new worker because its worker had died."""
    deaths: int = Field(default=0, ge=0)
    """How many of its workers died one after the other without a new epoch."""
    output: str | None = None
    """Where the run failed because its workers died: the last lines of their log."""
    gate: Gate | None = None
    """For full runs that passed. None until the registry has answered."""
    cleaned: Cleaned | None = None
    """The files that `sweep clean` removed; None if it removed none."""
    epochs_made: int | None = None
    """How many epochs a run made that has ended. Reports that lack one are cut."""
    started: float | None = None
    """Unix seconds."""
    ended: float | None = None
    """Unix seconds."""

    @model_validator(mode="before")
    @classmethod
    def _of_an_earlier_version(cls, values: Any) -> Any:
        """Drops the forecast of the rule that pruned before looks were kept."""
        if isinstance(values, dict):
            return {key: value for key, value in values.items() if key != "forecast"}
        return values

    @property
    def name(self) -> str:
        """``probe``, ``full``, ``full-2`` and so on: the run's folder in its trial's folder."""
        return self.stage if self.replicate == 1 else f"{self.stage}-{self.replicate}"

    @property
    def key(self) -> RunKey:
        return self.trial, self.name

    @property
    def label(self) -> str:
        """``0007/probe (baseline)``, for messages."""
        return f"{self.trial:04d}/{self.name} ({self.schedule})"


def store_option(store: Path) -> list[str]:
    """The option that names ``store`` to a command; nothing for the default store."""
    return [] if store == DEFAULT_STORE else ["--store", str(store)]


def tracking_uri(store: Path) -> str:
    """MLflow's tracking URI of the database in a store."""
    return sqlite_url(store / "mlflow.db")


@dataclass(frozen=True)
class StudyFolder:
    """The paths of one study's files. It creates none of them."""

    store: Path
    name: str

    @property
    def folder(self) -> Path:
        return self.store / "studies" / self.name

    def command(self, verb: str) -> str:
        """The command ``sweep VERB`` for this study, as it must be typed in the current folder."""
        return shlex.join(["sweep", verb, self.name, *store_option(self.store)])

    @property
    def settings(self) -> Path:
        return self.folder / "study.yaml"

    @property
    def lock(self) -> Path:
        return self.folder / "driver.lock"

    @property
    def driver(self) -> Path:
        """Process, host and time of the driver that holds the lock."""
        return self.folder / "driver.json"

    @property
    def data(self) -> Path:
        """Digests of the data set that the trials were trained on."""
        return self.folder / "data.json"

    @property
    def summary(self) -> Path:
        return self.folder / "summary.json"

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    @property
    def calibration(self) -> Path:
        return self.folder / "calibration.json"

    def calibration_dir(self, schedule: str, seed: int, stage: Stage) -> Path:
        """The trial directory of a calibration run, for example ``calibration/baseline/0/probe``.

        A schedule whose name is no file name on every system gets a folder named by a digest.
        """
        try:
            folder = _FILE_NAME.validate_python(schedule)
        except ValidationError:
            folder = f"schedule-{hashlib.sha256(schedule.encode()).hexdigest()[:16]}"
        return self.folder / "calibration" / folder / str(seed) / stage

    @property
    def artifacts(self) -> Path:
        """Folder of MLflow's artifacts, if its database is in the store."""
        return self.store / "artifacts"

    @property
    def optuna(self) -> Path:
        """Optuna's database. All studies of the store share it."""
        return self.store / "optuna.db"

    def run_dir(self, trial: int, name: str) -> Path:
        """The trial directory of a run: ``trials/0007/probe``; see :attr:`TrialRecord.name`."""
        return self.folder / "trials" / f"{trial:04d}" / name


def study_names(store: Path) -> list[str]:
    """The studies in a store that have settings."""
    pattern = StudyFolder(Path(), "*").settings.as_posix()
    return sorted(path.parent.name for path in store.glob(pattern))


def write_record(run_dir: Path, record: TrialRecord) -> None:
    """Writes the record into ``run_dir``, and creates the folder if it is missing."""
    run_dir.mkdir(parents=True, exist_ok=True)
    write_atomic(run_dir / RECORD, (record.model_dump_json(indent=1) + "\n").encode())


def read_record(run_dir: Path) -> TrialRecord:
    """The record in ``run_dir``.

    Raises:
        UvtexError: the file is missing or damaged.
    """
    path = run_dir / RECORD
    try:
        return TrialRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise UvtexError(f"{path}: no such file; is {run_dir} a trial directory?") from None
    except ValidationError:
        advice = "`sweep run` with the study's file makes it anew"
        raise UvtexError(f"{path}: is damaged; {advice}") from None


def read_records(study_dir: Path) -> tuple[list[TrialRecord], dict[Path, str]]:
    """The records of a study's runs that can be read, and what is wrong with the others.

    The records are sorted by trial number, the probe before the full run.

    Returns:
        The records; and trial directory -> problem, in a sentence.
    """
    found, problems = [], dict[Path, str]()
    for path in sorted(study_dir.glob(f"trials/*/*/{RECORD}")):
        try:
            record = read_record(path.parent)
            if path.parent.parts[-2:] != (f"{record.trial:04d}", record.name):
                raise UvtexError(f"{path}: is the record of another run, {record.label}")
            found.append(record)
        except (UvtexError, OSError) as error:
            problems[path.parent] = str(error)
    return sorted(found, key=lambda r: (r.trial, r.stage != "probe", r.replicate)), problems


def records(study_dir: Path) -> list[TrialRecord]:
    """The records of a study's runs, by trial number, the probe before the full run.

    Raises:
        UvtexError: a record cannot be read, or is that of another run.
    """
    found, problems = read_records(study_dir)
    if problems:
        raise UvtexError("\n".join(problems.values()))
    return found
