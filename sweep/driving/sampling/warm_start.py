"""What a study may tell its sampler of earlier studies.

A finished probe of an earlier study is told if its figures are what this study would measure: the
same data, the same definitions of the metrics, and a run with the same settings, those of the seed
and the device apart. Margins and constraints are computed anew by this study's thresholds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sweep.study.config import OBJECTIVE, StudyConfig
from sweep.study.data_identity import same_data
from sweep.study.file import read_saved
from sweep.study.folder import StudyFolder, TrialRecord, records, study_names
from sweep.study.search import paths, space
from uvtex.errors import ConfigError, UvtexError
from uvtex.metric_catalogue import DEFINITIONS, METRICS, same_definition
from uvtex.runs.epochs import EpochReport, read_epochs
from uvtex.runs.folder import RunFolder
from uvtex.runs.header import read_header
from uvtex.settings import differences
from uvtex.thresholds import margin

FINISHED = ("complete", "promoted", "pruned")
"""The states of probes that are told."""

_IGNORED = ("seed", "device", "thresholds", "checkpoint_every")
"""Settings of a run that may differ."""


@dataclass(frozen=True)
class EarlierProbe:
    """A finished probe of another study."""

    study: str
    record: TrialRecord
    params: space.Params
    epochs: list[EpochReport]
    best: dict[str, float]
    """Metrics of the epoch with the best margin by the new study's thresholds, which is
    ``margin``."""


def check_earlier(study: StudyConfig, probes: bool) -> None:
    """Checks the studies that ``search.warm_start`` names.

    Args:
        probes: whether their probes are checked, too. The data must be there, and the thresholds
            resolved. Otherwise only whether there are such studies.

    Raises:
        ConfigError: see :func:`earlier_probes`.
    """
    if probes:
        earlier_probes(study)
    elif missing := [name for name in study.search.warm_start if not _settings(study, name)]:
        raise ConfigError(
            "\n".join(f"search.warm_start: {name!r}: {_unknown(study)}" for name in missing)
        )


def earlier_probes(study: StudyConfig) -> list[EarlierProbe]:
    """The probes that ``search.warm_start`` names, study by study, in the order of their trials.

    A probe outside the search space is left out.

    Raises:
        ConfigError: a study cannot be used. The message has a line a study, with the reason.
    """
    found: list[EarlierProbe] = []
    refused = []
    for name in study.search.warm_start:
        try:
            found.extend(_probes_of(study, name))
        except UvtexError as error:
            refused.append(f"search.warm_start: {name!r}: {str(error).splitlines()[0]}")
    if refused:
        raise ConfigError("\n".join(refused))
    return found


def _settings(study: StudyConfig, name: str) -> Path | None:
    path = StudyFolder(study.store, name).settings
    return path if path.is_file() else None


def _unknown(study: StudyConfig) -> str:
    there = ", ".join(n for n in study_names(study.store) if n != study.name) or "none"
    return f"there is no such study in {study.store}; there are: {there}"


def _probes_of(study: StudyConfig, name: str) -> list[EarlierProbe]:
    if (settings := _settings(study, name)) is None:
        raise ConfigError(_unknown(study))
    other = read_saved(settings).in_store(study.store)
    if not same_data(study, other):
        raise ConfigError(f"was made on other data than {study.data.path}")
    ours, theirs = ({paths.parameter(path) for path in one.search.space} for one in (study, other))
    if ours != theirs:
        apart = ", ".join(sorted(ours ^ theirs))
        raise ConfigError(f"searched other settings; only one of the two studies has {apart}")
    probes = [r for r in records(other.paths.folder) if r.stage == "probe" and r.state in FINISHED]
    if not probes:
        raise ConfigError("has no finished probe")
    _check_metrics(study, other, probes)
    usable = [record for record in probes if not space.outside(study, record.params)]
    if not usable:
        raise ConfigError("has no probe inside this study's search space")
    return list(_read(study, other, usable))


def _check_metrics(study: StudyConfig, other: StudyConfig, probes: list[TrialRecord]) -> None:
    """Refuses figures by other definitions than today's."""
    wanted = {OBJECTIVE, *(threshold.metric for threshold in study.thresholds)}
    for record in probes:
        folder = RunFolder(other.paths.run_dir(*record.key))
        config = space.train_config(other, "probe", record.params, record.seed)
        stored = (
            record.cleaned.metric_versions
            if record.cleaned is not None and not folder.best(config.checkpoint_name).is_file()
            else read_header(folder.best(config.checkpoint_name)).metric_versions
        )
        today = dict(DEFINITIONS)
        if stored.get("lpips", "").startswith(today["lpips"]):
            today["lpips"] = stored["lpips"]  # its end names the backbone, which is a setting
        for metric in sorted(wanted & METRICS.keys()):
            if not same_definition(metric, today, stored):
                raise ConfigError(f"measured {metric} by another definition, in {record.label}")


def _read(
    study: StudyConfig, other: StudyConfig, probes: list[TrialRecord]
) -> Iterator[EarlierProbe]:
    for record in probes:
        ours, theirs = (
            space.train_config(one, "probe", record.params).model_dump(mode="json")
            for one in (study, other)
        )
        for key, (here, there) in differences(ours, theirs, _IGNORED).items():
            raise ConfigError(f"trained with {key} {there!r}, and this study has {here!r}")
        epochs = read_epochs(other.paths.run_dir(*record.key))
        judged = [
            {**report.val, "margin": margin(report.val, study.thresholds_of("probe"))}
            for report in epochs
        ]
        if judged:
            best = max(judged, key=lambda metrics: metrics["margin"])
            yield EarlierProbe(other.name, record, dict(record.params), epochs, best)
