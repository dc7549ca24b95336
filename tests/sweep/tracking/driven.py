"""Studies that are driven with a real MLflow: the made-up curves, and real checkpoints."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mlflow import MlflowClient

from sweep.driving.display import ProgressDisplay
from sweep.driving.driver import Driver
from sweep.launchers.base import Event, Job
from sweep.report.summary import summarise
from sweep.study.config import StudyConfig
from sweep.study.summary_record import write_summary
from sweep.tracking.mirror import MlflowMirror
from tests.sweep.fakes import InlineLauncher, study
from tests.sweep.made_study import add_checkpoint
from tests.sweep.tracking.tracked_runs import runs_in_mlflow
from uvtex.config import TrainConfig
from uvtex.settings import dump_yaml

LONG = 120.0
"""Seconds that a test waits for an MLflow that will answer."""


def passing_study(folder: Path, uri: str, **changes: Any) -> StudyConfig:
    """A study of three trials, two of which pass the gate, that is tracked at ``uri``."""
    values: dict[str, Any] = {
        "trials": 3,
        "tracking_uri": uri,
        "train": {"image_size": 32, "device": "cpu", "width": 0.1},
        "thresholds": [{"metric": "ssim_uv", "at_least": 0.2}],
        "pruning": {"enabled": False},
    }
    return study(folder, **(values | changes))


UNTOLD = re.compile(r"^system/|/gate/at$")
"""Metrics that differ between two equal studies: the load of the machine, the time of an answer."""


class CheckpointLauncher(InlineLauncher):
    """Leaves settings and checkpoints as a trainer does; ``at`` has actions by their event."""

    def __init__(self, config: StudyConfig, at: Mapping[int, Callable[[], object]]) -> None:
        super().__init__()
        self._config, self._at, self.events = config, at, 0

    def start(self, slot: str, job: Job) -> None:
        run_dir = Path(job.run_dir)
        if not (run_dir / "config.yaml").is_file():
            config = TrainConfig.model_validate(job.config)
            (run_dir / "config.yaml").write_text(dump_yaml(config))
            (run_dir / "checkpoints").mkdir()
            add_checkpoint(self._config, run_dir)
        super().start(slot, job)

    def wait(self, timeout: float) -> list[Event]:
        events = super().wait(timeout)
        for _ in events:
            self.events += 1
            self._at.get(self.events, lambda: None)()
        return events


class Driven(NamedTuple):
    """What came of a drive."""

    notes: list[str]
    """What the user was told."""
    behind: bool
    """Whether MLflow lacks something, as the mirror knows."""
    events: int
    """The number of events of the launcher."""


def drive(
    config: StudyConfig,
    at: Mapping[int, Callable[[], object]] | None = None,
    patience: float = LONG,
    end: Callable[[], object] = lambda: None,
    note: Callable[[str], None] = lambda text: None,
) -> Driven:
    """Drives a study to its end.

    Args:
        at: number of an event, from 1 on -> what happens then.
        patience: see :class:`MlflowMirror`.
        note: is told too what the user is told.
        end: what happens after the driver has ended, and before the mirror is closed.
    """
    notes: list[str] = []

    def keep(text: str) -> None:
        notes.append(text)
        note(text)

    mirror = MlflowMirror(config, keep, patience)
    launcher = CheckpointLauncher(config, at or {})
    config.paths.folder.mkdir(parents=True, exist_ok=True)
    config.paths.settings.write_text(dump_yaml(config))
    try:
        assert Driver(config, launcher, mirror, ProgressDisplay()).run() == "done"
        end()
        result = summarise(config)
        write_summary(config, result)
        mirror.study_ended(result, None, "complete")
    finally:
        mirror.close()
    return Driven(notes, mirror.behind, launcher.events)


OF_THIS_STUDY = ("study.tracking_uri", "sweep.shown", "sweep.run_id", "sweep.checkpoint_sha256")
"""Tags that differ between two equal studies. The checkpoints are of untrained networks."""


def content(config: StudyConfig, uri: str | None = None) -> Any:
    """All that MLflow holds of a study, but ids, times, and what differs between two folders."""
    client = MlflowClient(uri or config.tracking_uri)
    runs = {}
    for name, shown in runs_in_mlflow(client, config).items():
        status, tags, params, histories, files = shown
        kept = {key: steps for key, steps in histories.items() if not UNTOLD.search(key)}
        told = {key: value for key, value in tags.items() if key not in OF_THIS_STUDY}
        runs[name] = (status, told, params, kept, files)
    experiment = client.get_experiment_by_name(config.name).experiment_id
    models = client.search_logged_models([experiment])
    found = {
        "runs": runs,
        "registry": registry(client),
        "models": sorted((m.name, m.status, m.tags["sweep.trial"]) for m in models),
    }
    text = json.dumps(found, sort_keys=True).replace(str(config.store), "STORE")
    return json.loads(text.replace(str(config.data.path), "DATA"))


def registry(client: MlflowClient) -> Any:
    if not client.search_registered_models("name = 'uvtex'"):
        return None
    model = client.get_registered_model("uvtex")
    events = [
        {key: value for key, value in json.loads(text).items() if key != "at"}
        for key, text in sorted(model.tags.items())
        if key.startswith("sweep.history.")
    ]
    versions = {}
    for version in client.search_model_versions("name = 'uvtex'"):
        tags = {k: v for k, v in version.tags.items() if k not in OF_THIS_STUDY}
        versions[str(version.version)] = (version.description, tags)
    aliases = {alias: str(version) for alias, version in model.aliases.items()}
    return model.description, aliases, events, versions
