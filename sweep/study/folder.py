"""Where a study lives on disk, and the record of each of its runs (``trial.json``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from uvtex.config import Settings
from uvtex.errors import UvtexError
from uvtex.files import write_atomic

Stage = Literal["probe", "full"]
State = Literal["running", "complete", "pruned", "promoted", "failed"]

DEFAULT_STORE = Path("mlruns")
RECORD = "trial.json"
WORKER_LOG = "worker.log"
"""In a trial directory: what its worker printed."""
SEARCHED = "search"
"""The schedule name of a trial that Optuna chose, as against one that was queued by name."""


class Gate(Settings):
    """What the model registry said to a full run that passed."""

    registered: bool
    version: str | None = None
    champion: bool = False
    """Did it become the champion then; a later run may have taken the alias since."""
    reason: str


class TrialRecord(Settings):
    """One run of one trial: the probe, or the full run after it.

    An interrupted run keeps the state ``running``; the next driver goes on with it. A probe that
    passed is ``promoted``; one that ended without passing is ``complete``, as is every full run
    that ended.
    """

    trial: int = Field(ge=0)
    """Optuna's trial number."""
    stage: Stage
    state: State = "running"
    schedule: str
    """A name of ``schedules.yaml``, or ``search``."""
    params: dict[str, float | str]
    """Optuna's parameters, see :mod:`sweep.study.space`."""
    epochs: int = Field(ge=1)
    """How many epochs the stage has; a pruned run made fewer."""
    reason: str | None = None
    """Why it ended in this state, in a sentence."""
    forecast: dict[str, float] | None = None
    """Metric -> expected value at the stage's last epoch; ``margin`` and ``margin_optimistic``."""
    best_epoch: int | None = Field(default=None, ge=1)
    """The epoch with the best margin so far."""
    retries: int = Field(default=0, ge=0)
    """How often a worker died over it."""
    gate: Gate | None = None
    """Full runs that passed only; None while the registry was not asked or was away."""
    started: float | None = None
    """Unix seconds."""
    ended: float | None = None
    """Unix seconds."""

    @property
    def label(self) -> str:
        """``0007/probe (baseline)``, for messages."""
        return f"{self.trial:04d}/{self.stage} ({self.schedule})"


def tracking_uri(store: Path) -> str:
    """MLflow's tracking URI of the database in a store."""
    return f"sqlite:///{(store / 'mlflow.db').as_posix()}"


@dataclass(frozen=True)
class StudyFolder:
    """The files of one study. Nothing is created by looking."""

    store: Path
    name: str

    @property
    def folder(self) -> Path:
        return self.store / "studies" / self.name

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
    def summary(self) -> Path:
        return self.folder / "summary.json"

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    @property
    def artifacts(self) -> Path:
        """Where a database in the store keeps what is logged beside figures."""
        return self.store / "artifacts"

    @property
    def optuna(self) -> str:
        """The URL of Optuna's storage, shared by all studies of the store."""
        return f"sqlite:///{(self.store / 'optuna.db').as_posix()}"

    def run_dir(self, trial: int, stage: Stage) -> Path:
        """The trial directory of one stage."""
        return self.folder / "trials" / f"{trial:04d}" / stage


def study_names(store: Path) -> list[str]:
    """The studies in a store that have settings."""
    pattern = StudyFolder(Path(), "*").settings.as_posix()
    return sorted(path.parent.name for path in store.glob(pattern))


def write_record(run_dir: Path, record: TrialRecord) -> None:
    """Replaces ``trial.json`` in ``run_dir``, which is created if missing."""
    run_dir.mkdir(parents=True, exist_ok=True)
    write_atomic(run_dir / RECORD, (record.model_dump_json(indent=1) + "\n").encode())


def read_record(run_dir: Path) -> TrialRecord:
    """The record in ``run_dir``.

    Raises:
        UvtexError: it is missing or damaged.
    """
    path = run_dir / RECORD
    try:
        return TrialRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise UvtexError(f"{path}: no such file; is {run_dir} a trial directory?") from None
    except ValidationError as error:
        raise UvtexError(f"{path}: is damaged ({error.error_count()} problems): {error}") from None


def records(study_dir: Path) -> list[TrialRecord]:
    """Every run of a study, by trial, probe before full."""
    found = [read_record(path.parent) for path in study_dir.glob(f"trials/*/*/{RECORD}")]
    return sorted(found, key=lambda record: (record.trial, record.stage != "probe"))
