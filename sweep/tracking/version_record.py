"""What a registered version says of itself: typed facts here, ``sweep.*`` tags in MLflow."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.decisions.gate import VersionFigures
from sweep.study.folder import TrialRecord
from sweep.study.judged import Judged
from uvtex.runs.epochs import EpochReport
from uvtex.thresholds import Threshold, margin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow.entities.model_registry import ModelVersion

    from sweep.study.config import StudyConfig

CHECKPOINT_DIGEST = "sweep.checkpoint_sha256"
"""The tag by which a checkpoint's version is found again."""


@dataclass(frozen=True)
class VersionRecord:
    """The facts of one version; None where a version made without ``sweep`` states none."""

    version: str
    study: str | None
    trial: str | None
    stage: str | None
    schedule: str | None
    run_id: str | None
    """The MLflow run that the version came from."""
    data_fingerprint: str | None
    metric_versions: Mapping[str, str]
    epoch: int | None
    metrics: Mapping[str, float]
    """Metrics of ``epoch`` on the side that the version was judged by."""
    thresholds: tuple[Threshold, ...]
    """Those of the study that the version passed."""
    margin: float | None

    @property
    def figures(self) -> VersionFigures:
        """The part of the record that the gate decides by."""
        return VersionFigures(
            name=f"version {self.version} ({self.study}/{self.trial})",
            metrics=self.metrics,
            definitions=self.metric_versions,
            data_fingerprint=self.data_fingerprint,
        )


def read_version(version: ModelVersion) -> VersionRecord:
    """The record that a version's tags hold."""
    tags = {key.removeprefix("sweep."): value for key, value in version.tags.items()}
    return VersionRecord(
        version=str(version.version),
        study=tags.get("study"),
        trial=tags.get("trial"),
        stage=tags.get("stage"),
        schedule=tags.get("schedule"),
        run_id=tags.get("run_id"),
        data_fingerprint=tags.get("data_fingerprint"),
        metric_versions=json.loads(tags.get("metric_versions", "{}")),
        epoch=int(tags["epoch"]) if "epoch" in tags else None,
        metrics=json.loads(tags.get("metrics", "{}")),
        thresholds=tuple(Threshold(**t) for t in json.loads(tags.get("thresholds", "[]"))),
        margin=float(tags["margin"]) if "margin" in tags else None,
    )


def version_tags(
    study: StudyConfig,
    record: TrialRecord,
    best: EpochReport,
    found: Judged,
    *,
    run_id: str,
    checkpoint_sha256: str,
) -> dict[str, str]:
    """The tags that :func:`read_version` reads, for the run of ``record`` at its best epoch."""
    facts = {
        "study": study.name,
        "trial": str(record.trial),
        "stage": record.stage,
        "schedule": record.schedule,
        "epoch": str(best.epoch),
        "side": found.side,
        "metrics": json.dumps(dict(found.metrics)),
        "validation": json.dumps(best.val),
        "thresholds": json.dumps([t.model_dump(exclude_none=True) for t in study.thresholds]),
        "margin": repr(margin(found.metrics, study.thresholds)),
        "run_id": run_id,
        "data_fingerprint": found.fingerprint,
        "metric_versions": json.dumps(dict(found.definitions), sort_keys=True),
    }
    return {f"sweep.{key}": value for key, value in facts.items()} | {
        CHECKPOINT_DIGEST: checkpoint_sha256
    }


def version_description(study: StudyConfig, record: TrialRecord, found: Judged) -> str:
    """The text that MLflow's page shows above a version."""
    passed = ", ".join(f"{t.metric} {found.metrics[t.metric]:.4f} ({t})" for t in study.thresholds)
    where = f"Study `{study.name}`, trial {record.label}"
    return f"{where}. Passed on the {found.side} side with {passed}."
