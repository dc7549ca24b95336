"""Reads a study file, lists all problems in it, and compares two versions of a study."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import RootModel

from sweep.study.config import StudyConfig
from sweep.study.folder import tracking_uri
from sweep.study.search.checks import search_problems
from sweep.study.search.settings import NamedSchedule
from sweep.study.urls import problem as url_problem
from uvtex.config import NEW_TEST_SPLIT, PRESETS, resolve
from uvtex.errors import ConfigError, UvtexError
from uvtex.files import write_atomic
from uvtex.settings import differences, dump_yaml, flatten, load_yaml, validate
from uvtex.typed.paths import typed
from uvtex.typed.yaml_dialect import Number, WholeNumber

SET_BY_STUDY = {
    "epochs": "stages",
    "schedule": "search",
    "thresholds": "thresholds",
    "checkpoint_name": None,
}
"""Training settings that the study decides -> the key of the study file that sets them."""

MUTABLE = (
    "trials", "hours", "device_hours", "workers", "retries", "hang", "launcher", "train.device",
    "storage", "tracking_uri", "keep",
)  # fmt: skip
"""Settings that may change while a study has trials. Queue and schedules may also grow.

Another machine has other devices, and a server may move.
"""

SET_ONCE = ("resolved_thresholds", "resolved_probe_thresholds")
"""Settings that the study itself saves. A study file does not give them."""

URLS = ("storage", "tracking_uri")
"""Settings that may hold a password."""

PATHS = (
    "data.path",
    "data.showroom.car.file",
    "data.showroom.livery_dir",
    "data.showroom.template",
    "train.lpips_backbone",
)
"""Settings whose text depends on the folder that the command runs in."""

EARLIER_PRUNING = frozenset({"warmup_epochs", "allowance", "spare"})
"""Settings of the first pruner, which saved studies may have."""

# The first and the last line of saved settings. Earlier versions wrote neither.
SAVED_BEGINS = "# Settings of a study, saved by sweep. The last line says that they are whole."
SAVED_ENDS = "# The settings are whole."

Resolver = Callable[[Mapping[str, Any], Path | None], dict[str, Any]]


class _Schedules(RootModel[dict[str, NamedSchedule]]):
    """The schedules of a schedules file that a study queues."""


def load(path: Path, overrides: Mapping[str, Any] | None = None) -> StudyConfig:
    """The study in a YAML file. ``overrides`` (flags) replace its values, except where None.

    If the file does not name ``train.test_split``, the study keeps what it was begun with, and a
    new study gets :data:`uvtex.config.NEW_TEST_SPLIT`.

    Raises:
        ConfigError: the file has problems. The message lists them all, each with its key.
    """
    values = dict(load_yaml(path))
    values.update({key: value for key, value in (overrides or {}).items() if value is not None})
    problems = [
        f"{path}: {key}: the study sets it; remove it" for key in SET_ONCE if values.get(key)
    ]
    for key in URLS:
        if isinstance(values.get(key), str) and (found := url_problem(values[key])):
            problems.append(f"{path}: {key}: {found}")
    search = values.get("search")
    if search is None or isinstance(search, Mapping):
        try:
            values["search"] = _with_schedules(dict(search or {}), path)
        except ConfigError as error:
            problems.extend(str(error).splitlines())
            values["search"] = {**(search or {}), "schedules": {}}
    study = parse(values, str(path), problems, path.parent)
    train = values.get("train") or {}
    if "test_split" in train:
        return study
    values["train"] = {**train, "test_split": _begun_with(study)}
    return parse(values, str(path), problems, path.parent)


def _begun_with(study: StudyConfig) -> float:
    """The ``test_split`` of a study that its file does not give.

    Settings that were saved before there was a test side do not name it, and mean 0.
    """
    saved = study.paths.settings
    if not saved.is_file():
        return NEW_TEST_SPLIT
    return float((load_yaml(saved).get("train") or {}).get("test_split", 0))


def parse(
    values: Mapping[str, Any],
    where: str,
    problems: list[str] | None = None,
    folder: Path | None = None,
) -> StudyConfig:
    """``values`` as a study.

    Args:
        where: the file of the values, for messages.
        problems: problems that the caller has found already.
        folder: that file's folder, if a person wrote it, see :func:`validate`.

    Raises:
        ConfigError: there are problems. The message lists them all, each with its key.
    """
    problems = list(problems or [])
    values = {key: value for key, value in values.items() if value is not None or key != "train"}
    values.setdefault("train", {})
    train = _resolved_train_of_any_preset if _searches_preset(values) else _resolved_train
    _resolve_part(values, "train", train, where, problems, folder)
    if isinstance(values.get("data"), Mapping):
        values["data"] = dict(values["data"])
        label = f"{where}: data"
        _resolve_part(values["data"], "showroom", _resolved_showroom, label, problems, folder)
    try:
        study = validate(StudyConfig, values, where, folder)
    except ConfigError as error:
        raise ConfigError("\n".join([*str(error).splitlines(), *problems])) from None
    if "tracking_uri" not in values:
        study = study.model_copy(update={"tracking_uri": tracking_uri(study.store)})
    problems = problems or [f"{where}: {p}" for p in search_problems(study, saved=folder is None)]
    if problems:
        raise ConfigError("\n".join(problems))
    return study


def write_saved(study: StudyConfig) -> None:
    """Saves a study's settings in its folder, which must exist."""
    text = f"{SAVED_BEGINS}\n{dump_yaml(study)}{SAVED_ENDS}\n"
    write_atomic(study.paths.settings, text.encode())


def read_saved(path: Path) -> StudyConfig:
    """The settings that a study saved, by this version or an earlier one.

    Raises:
        ConfigError: they have problems.
        UvtexError: the file was cut.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    if not lines or SAVED_BEGINS.startswith(lines[0]) != (lines[-1] == SAVED_ENDS):
        instead = "the study file has the settings that the trials were made with"
        raise UvtexError(f"{path}: is cut; restore it from a copy, or remove it if {instead}")
    return parse(_of_this_version(load_yaml(path)), str(path))


def _of_this_version(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Settings that an earlier version saved, without what that version's pruner read."""
    pruning = values.get("pruning")
    if not isinstance(pruning, Mapping) or not pruning.keys() & EARLIER_PRUNING:
        return values
    kept = {key: value for key, value in pruning.items() if key not in EARLIER_PRUNING}
    return {**values, "pruning": kept}


def changes(old: StudyConfig, new: StudyConfig) -> list[str]:
    """``key: old -> new`` for every setting that may not change while a study has trials.

    A schedule that only one of the two has is left out: the queue may grow. So is a path that may
    be the same one, written from another folder.
    """
    added = set(old.search.schedules) ^ set(new.search.schedules)
    ignoring = [
        *MUTABLE,
        *SET_ONCE,
        "search.queue",
        *(f"search.schedules.{name}" for name in added),
    ]
    found = differences(old.model_dump(mode="json"), new.model_dump(mode="json"), ignoring)
    return [
        f"{key}: {before!r} -> {after!r}"
        for key, (before, after) in sorted(found.items())
        if key not in PATHS or not _same_path(before, after)
    ]


def _same_path(before: str | None, after: str | None) -> bool:
    if before is None or after is None:
        return False
    if os.path.realpath(before) == os.path.realpath(after):
        return True
    one, other = (Path(os.path.normpath(path)).parts for path in (before, after))
    shorter = min(len(one), len(other))
    return one[-shorter:] == other[-shorter:]


def _with_schedules(search: dict[str, Any], study_file: Path) -> dict[str, Any]:
    """``search`` with the queued schedules of the schedules file in place of its path."""
    given = search.get("schedules", "schedules.yaml")
    if isinstance(given, (Number, WholeNumber)):
        given = given.text
    queue = search.get("queue") or ()
    if not isinstance(given, str) or not queue or not isinstance(queue, (list, tuple)):
        if isinstance(given, str):
            search["schedules"] = {}
        return search
    try:
        file = study_file.parent / typed(given)
    except ValueError as error:
        raise ConfigError(f"{study_file}: search.schedules: {error}") from None
    known = load_yaml(file)
    # The study's validation reports a name that is no text.
    texts = [getattr(name, "text", name) for name in queue]
    names = [name for name in texts if isinstance(name, str)]
    missing = [name for name in names if name not in known]
    if missing:
        raise ConfigError(
            f"{study_file}: search.queue: {', '.join(map(repr, missing))} not in {given}; known: "
            + (", ".join(known) or "none")
        )
    wanted = {name: known[name] for name in names}
    search["schedules"] = validate(_Schedules, wanted, str(file), file.parent).root
    return search


def _resolve_part(
    values: dict[str, Any],
    key: str,
    resolver: Resolver,
    where: str,
    problems: list[str],
    folder: Path | None,
) -> None:
    """Replaces ``values[key]`` by its resolved settings, or adds its problems to ``problems``."""
    given = values.get(key)
    if given is None or not isinstance(given, Mapping):
        return  # absent, or :func:`validate` reports the wrong type
    prefix = f"{where}: {key}." if ": " not in where else f"{where}.{key}."
    try:
        values[key] = resolver(given, folder)
    except ConfigError as error:
        problems.extend(prefix + line.removeprefix(": ") for line in str(error).splitlines())


def _resolved_train(given: Mapping[str, Any], folder: Path | None) -> dict[str, Any]:
    problems = []
    for key, instead in SET_BY_STUDY.items():
        if key in given:
            hint = f"set {instead!r} of the study" if instead else "the study sets it"
            problems.append(f"{key}: must not be set here; {hint}")
    try:
        own = {key: value for key, value in given.items() if key not in SET_BY_STUDY}
        config = resolve(own, folder=folder)
    except ConfigError as error:
        problems.extend(line.removeprefix("settings: ") for line in str(error).splitlines())
    if problems:
        raise ConfigError("\n".join(problems))
    return config.model_dump(mode="json", exclude=set(SET_BY_STUDY), exclude_none=True)


def _searches_preset(values: Mapping[str, Any]) -> bool:
    search = values.get("search")
    space = search.get("space") if isinstance(search, Mapping) else None
    return isinstance(space, Mapping) and "preset" in space


def _resolved_train_of_any_preset(given: Mapping[str, Any], folder: Path | None) -> dict[str, Any]:
    """The train settings without what a preset decides, so that each run's preset decides it.

    What the file gives stays, whichever preset a run has.
    """
    resolved = _resolved_train(given, folder)
    presets = {path for preset in PRESETS.values() for path in flatten(preset)}
    for path in presets - flatten(given).keys():
        *sections, key = path.split(".")
        inside = resolved
        for section in sections:
            inside = inside[section]
        del inside[key]
    return resolved


def _resolved_showroom(given: Mapping[str, Any], folder: Path | None) -> dict[str, Any]:
    from uvtex.showroom.settings import ShowroomSettings

    settings = validate(ShowroomSettings, given, "", folder)
    return dict(settings.model_dump(mode="json", exclude_none=True))
