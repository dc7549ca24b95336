"""What a registered version says of itself: typed facts here, ``sweep.*`` tags in MLflow."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.decisions.champion import Comparison, Contender
from sweep.study.calibration import MetricNoise
from sweep.study.folder import ThresholdTest, TrialRecord
from sweep.study.judged import Judged
from uvtex.runs.epochs import EpochReport
from uvtex.thresholds import Threshold, margin

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from sweep.study.config import StudyConfig

MODEL = "uvtex"

CHECKPOINT_DIGEST = "sweep.checkpoint_sha256"
"""The tag by which a checkpoint's version is found again."""


RUN_ID = "sweep.run_id"
"""The tag with the id of the MLflow run that a version came from."""


@dataclass(frozen=True)
class Candidate:
    """A full run that is to be registered, and what was decided on its trial."""

    record: TrialRecord
    run_dir: Path
    admitted: bool
    reason: str
    """Why the trial was admitted or was not, in words."""
    tests: tuple[ThresholdTest, ...] = ()
    """One for each threshold; empty where the study allows one full run."""
    replicates: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    """Seed -> the figures of the trial's full run under it."""
    noise: Mapping[str, MetricNoise] = field(default_factory=dict)
    """Metric -> the calibration's noise at full length; empty without a calibration."""
    override: str | None = None
    """The reason of a person who makes the run champion without regard to the rule."""


@dataclass(frozen=True)
class VersionRecord:
    """The facts of one version; None or empty where a version states none."""

    version: str
    study: str | None
    trial: str | None
    run: str | None
    """The run's name in its trial, such as ``full-2``."""
    schedule: str | None
    run_id: str | None
    """The MLflow run that the version came from."""
    data_fingerprint: str | None
    """Digest of the side that ``metrics`` were measured on."""
    metric_versions: Mapping[str, str]
    epoch: int | None
    side: str
    """``test``, or ``validation`` where the study keeps no test side."""
    metrics: Mapping[str, float]
    """The figures that the version was judged by."""
    validation: Mapping[str, float]
    """Validation metrics of ``epoch``, which they chose."""
    thresholds: tuple[Threshold, ...]
    """Those of the study."""
    margin: float | None
    admitted: bool
    admission: str
    """Why the trial was admitted or was not, in words."""
    tests: tuple[ThresholdTest, ...]
    replicates: Mapping[int, Mapping[str, float]]
    """Seed -> figures."""
    noise: Mapping[str, MetricNoise]
    answer: str
    """What came of the comparison with the champion, in words."""
    override: str | None

    @property
    def label(self) -> str:
        """``version 3 (quickstart/7/full)``, for messages."""
        origin = "/".join(filter(None, (self.study, self.trial, self.run)))
        return f"version {self.version} ({origin})" if origin else f"version {self.version}"

    @property
    def contender(self) -> Contender:
        """The part of the record that is compared."""
        return Contender(
            name=self.label,
            figures=self.replicates,
            definitions=self.metric_versions,
            data_fingerprint=self.data_fingerprint or None,
        )


def read_version(version: ModelVersion) -> VersionRecord:
    """The record that a version's tags hold. A version of an earlier ``sweep`` lacks some."""
    tags = {key.removeprefix("sweep."): value for key, value in version.tags.items()}
    return VersionRecord(
        version=str(version.version),
        study=tags.get("study"),
        trial=tags.get("trial"),
        run=tags.get("run", tags.get("stage")),
        schedule=tags.get("schedule"),
        run_id=tags.get("run_id"),
        data_fingerprint=tags.get("data_fingerprint"),
        metric_versions=json.loads(tags.get("metric_versions", "{}")),
        epoch=int(tags["epoch"]) if "epoch" in tags else None,
        side=tags.get("side", "validation"),
        metrics=json.loads(tags.get("metrics", "{}")),
        validation=json.loads(tags.get("validation", "{}")),
        thresholds=tuple(Threshold(**t) for t in json.loads(tags.get("thresholds", "[]"))),
        margin=float(tags["margin"]) if "margin" in tags else None,
        # Earlier versions of this package registered only runs that passed.
        admitted=tags.get("admitted", "true") == "true" and "study" in tags,
        admission=tags.get("admission", ""),
        tests=tuple(ThresholdTest(**t) for t in json.loads(tags.get("tests", "[]"))),
        replicates={int(k): v for k, v in json.loads(tags.get("replicates", "{}")).items()},
        noise={k: MetricNoise(**v) for k, v in json.loads(tags.get("noise", "{}")).items()},
        answer=tags.get("answer", ""),
        override=tags.get("override") or None,
    )


def origin_tags(
    study: StudyConfig,
    record: TrialRecord,
    best: EpochReport,
    found: Judged,
) -> dict[str, str]:
    """The tags on where a version came from, which never change."""
    facts = {
        "study": study.name,
        "trial": str(record.trial),
        "stage": record.stage,
        "run": record.name,
        "schedule": record.schedule,
        "epoch": str(best.epoch),
        "side": found.side,
        "metrics": json.dumps(dict(found.metrics)),
        "validation": json.dumps(best.val),
        "thresholds": json.dumps([t.model_dump(exclude_none=True) for t in study.thresholds]),
        "margin": repr(margin(found.metrics, study.thresholds)),
        "data_fingerprint": found.fingerprint,
        "metric_versions": json.dumps(dict(found.definitions), sort_keys=True),
    }
    return _prefixed(facts)


def decision_tags(candidate: Candidate) -> dict[str, str]:
    """The tags on what was decided. They change when more replicates have ended."""
    replicates = {
        str(seed): {name: value for name, value in figures.items() if math.isfinite(value)}
        for seed, figures in candidate.replicates.items()
    }
    facts = {
        "admitted": "true" if candidate.admitted else "false",
        "admission": candidate.reason,
        "tests": json.dumps([test.model_dump() for test in candidate.tests]),
        "replicates": json.dumps(replicates),
        "noise": json.dumps({name: one.model_dump() for name, one in candidate.noise.items()}),
    }
    return _prefixed(facts)


_CHANGING = (
    "admitted", "admission", "tests", "replicates", "noise", "answer", "comparison", "override"
)  # fmt: skip
"""The tags of :func:`decision_tags` and of :func:`comparison_tags`."""


def unchanging(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags of a version that never change. Its logged model has them too."""
    return {k: v for k, v in tags.items() if k.removeprefix("sweep.") not in _CHANGING}


def comparison_tags(
    comparison: Comparison, words: str, rival: VersionRecord | None, override: str | None
) -> dict[str, str]:
    """The tags on the last comparison with the champion.

    Args:
        words: what came of it.
        rival: the champion that the version was compared with.
        override: the reason of a person who decides without regard to it.
    """
    tests = [test.record(len(comparison.seeds)).model_dump() for test in comparison.tests]
    facts = {
        "verdict": comparison.verdict,
        "seeds": list(comparison.seeds),
        "tests": tests,
        "champion": None if rival is None else rival.version,
    }
    return _prefixed({"answer": words, "comparison": json.dumps(facts), "override": override or ""})


def _prefixed(facts: Mapping[str, str]) -> dict[str, str]:
    return {f"sweep.{key}": value for key, value in facts.items()}
