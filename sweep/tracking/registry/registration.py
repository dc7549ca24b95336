"""Registers versions of ``uvtex``, and compares each with the champion.

A version holds an exported program that runs without this package's code, and beside it the
checkpoint. Whether a trial is admitted is decided before. Who is champion is decided in
:mod:`sweep.decisions.champion`. This module carries both out.
"""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.decisions.champion import Comparison, compare, joint_noise
from sweep.study.config import OBJECTIVE
from sweep.study.folder import Gate, TrialRecord, store_option
from sweep.study.judged import judged
from sweep.tracking import client as seam
from sweep.tracking.client import RegistryError
from sweep.tracking.registry import history
from sweep.tracking.registry.checkpoint_files import best_checkpoint
from sweep.tracking.registry.kept import keep
from sweep.tracking.registry.page import version_page
from sweep.tracking.registry.upload import register, registered, set_tags
from sweep.tracking.registry.version_record import (
    MODEL,
    Candidate,
    VersionRecord,
    comparison_tags,
    decision_tags,
    origin_tags,
    read_version,
)
from uvtex.files import sha256_of
from uvtex.runs.epochs import best_epoch, read_epochs

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from sweep.study.config import StudyConfig

BY_OVERRIDE = "champion by override: "
"""How the answer begins where a person decided."""


def promote(study: StudyConfig, candidate: Candidate, uri: str) -> Gate:
    """Registers the candidate's best checkpoint, and makes it champion if the comparison says so.

    A second call changes nothing but what more replicates have shown since.

    Raises:
        RegistryError, TrackingError: MLflow is away or refuses; no version was registered in part.
        UvtexError: the run's checkpoint cannot be used.
    """
    record = candidate.record
    best, found = best_epoch(read_epochs(candidate.run_dir)), judged(candidate.run_dir)
    if best is None or found is None:
        raise RegistryError(f"{record.label} has no epoch, so there is nothing to register")
    checkpoint = best_checkpoint(candidate.run_dir)
    with seam.mapped_errors(f"register {record.label}", uri, RegistryError):
        client = seam.client(uri)
        version = registered(client, sha256_of(checkpoint))
        if version is None:
            tags = origin_tags(study, record, best, found) | decision_tags(candidate)
            version = register(client, study, record, tags, uri)
        set_tags(client, version, decision_tags(candidate))
        with history.changing(uri):
            gate = _challenge(client, study, candidate, version)
            keep(client, study.store, uri)
    return gate


def _challenge(
    client: MlflowClient, study: StudyConfig, candidate: Candidate, version: str
) -> Gate:
    """Compares ``version`` with the champion, and carries the answer out."""
    history.settle(client)
    holder = history.holder_of(client, history.CHAMPION)
    ours = read_version(client.get_model_version(MODEL, version))
    theirs = None if holder is None else read_version(holder)
    if theirs is not None and theirs.version == version:
        answer = Answer(True, False, ours.answer or "the champion", ours.override)
    else:
        answer = _compare(client, study, candidate, ours, theirs)
    ours = read_version(client.get_model_version(MODEL, version))
    client.update_model_version(MODEL, version, description=version_page(ours))
    return Gate(
        registered=True,
        version=version,
        champion=answer.champion,
        reason=f"{candidate.reason}; {answer.words}" if candidate.admitted else answer.words,
        tests=candidate.tests,
        seeds=tuple(sorted(candidate.replicates)),
        undecided=answer.undecided,
        rival=_trial_here(study, theirs) if answer.undecided else None,
        override=answer.override,
        unproven=not candidate.admitted,
        at=time.time(),
    )


@dataclass(frozen=True)
class Answer:
    """What came of a challenge."""

    champion: bool
    undecided: bool
    """Whether more full runs of the study could still decide it."""
    words: str
    override: str | None


def _compare(
    client: MlflowClient,
    study: StudyConfig,
    candidate: Candidate,
    ours: VersionRecord,
    theirs: VersionRecord | None,
) -> Answer:
    """Compares ``ours`` with the champion, stores the answer, and sets the alias if ours wins."""
    one_study = theirs is not None and ours.study == theirs.study
    comparison = compare(
        ours.contender,
        None if theirs is None else theirs.contender,
        study.thresholds,
        OBJECTIVE,
        ours.noise if theirs is None else joint_noise(ours.noise, theirs.noise, one_study),
        study.replicates,
    )
    override = candidate.override
    if theirs is not None and override is None and comparison.verdict == "challenger":
        comparison = _unless_undone(client, comparison, ours, theirs)
    wins = comparison.verdict == "challenger" or override is not None
    undecided = not wins and comparison.verdict == "continue" and _can_go_on(study, ours, theirs)
    words = _in_words(study, candidate, comparison, undecided)
    tags = comparison_tags(comparison, words, theirs, override)
    set_tags(client, ours.version, tags)
    if wins:
        kind: history.Kind = "override" if override else "promotion"
        history.crown(client, ours.version, kind, words.removeprefix(BY_OVERRIDE))
    else:
        history.settle(client)  # the challenger may be another one now
    return Answer(wins, undecided, words, override)


def _unless_undone(
    client: MlflowClient, comparison: Comparison, ours: VersionRecord, theirs: VersionRecord
) -> Comparison:
    """The comparison, or that the champion stays because a person rolled ``ours`` back."""
    events = history.read_events(client.get_registered_model(MODEL).tags)
    event = history.undone(list(events.values()), ours.version)
    if event is None:
        return comparison
    reason = f"{theirs.label} stays champion: {ours.label} was rolled back: {event.reason}"
    return Comparison("champion", reason, comparison.seeds, ())


def _in_words(
    study: StudyConfig, candidate: Candidate, comparison: Comparison, undecided: bool
) -> str:
    """The answer on who is champion, and what a person can do about it."""
    if candidate.override is not None:
        rule = comparison.reason if candidate.admitted else f"not admitted, {candidate.reason}"
        return f"{BY_OVERRIDE}{candidate.override} (by the rule: {rule})"
    if undecided:
        return f"{comparison.reason}; full runs under more seeds are due"
    shown = comparison.verdict == "champion" and comparison.tests
    if comparison.verdict == "challenger" or shown:
        return comparison.reason
    command = promote_command(study, candidate.record)
    return f"{comparison.reason}; to decide it yourself: `{command} --override REASON`"


def promote_command(study: StudyConfig, record: TrialRecord) -> str:
    """The command that promotes a run, as it must be typed in the current folder."""
    name = f"{study.name}/{record.trial}/{record.name}"
    return shlex.join(["sweep", "promote", name, *store_option(study.store)])


def _can_go_on(study: StudyConfig, ours: VersionRecord, theirs: VersionRecord | None) -> bool:
    """Whether full runs that this study may still make would give the two more common seeds."""
    if theirs is None:
        return False
    first = int(study.train["seed"])
    planned = {first + number for number in range(1, study.replicates + 1)}
    common = ours.replicates.keys() & theirs.replicates.keys()
    theirs_to_be = planned if _trial_here(study, theirs) is not None else theirs.replicates.keys()
    return bool(planned & theirs_to_be - common)


def _trial_here(study: StudyConfig, version: VersionRecord | None) -> int | None:
    """The version's trial if it is of this study."""
    if version is None or version.study != study.name or version.trial is None:
        return None
    return int(version.trial)
