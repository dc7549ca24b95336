"""Reading a study file: every problem in it listed at once, and what may change in it later."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

from sweep.study.config import CONSTANTS, NamedSchedule, Range, Scheduler, Search, StudyConfig
from sweep.study.folder import DEFAULT_STORE, tracking_uri
from uvtex.config import TERMS, Ramp, Schedule, differences, load_yaml, resolve, validate
from uvtex.errors import ConfigError
from uvtex.metric_catalogue import THRESHOLDS

SET_BY_STUDY = {
    "epochs": "stages",
    "schedule": "search",
    "thresholds": "thresholds",
    "checkpoint_name": None,
}
"""Training settings that a study decides itself, and the key of the study file that does."""

MUTABLE = ("trials", "hours", "workers")
"""What may change when a study is gone on with; queue and schedules may grow besides."""

Resolver = Callable[[Mapping[str, Any]], dict[str, Any]]


def load(path: Path, overrides: Mapping[str, Any] | None = None) -> StudyConfig:
    """The study in a YAML file; ``overrides`` (flags) win where they are not None.

    Raises:
        ConfigError: listing every problem, each with its key's path.
    """
    values = dict(load_yaml(path))
    values.update({key: value for key, value in (overrides or {}).items() if value is not None})
    problems: list[str] = []
    search = values.get("search")
    if search is None or isinstance(search, Mapping):
        try:
            values["search"] = _with_schedules(dict(search or {}), path)
        except ConfigError as error:
            problems.extend(str(error).splitlines())
    return parse(values, str(path), problems)


def parse(values: Mapping[str, Any], where: str, problems: list[str] | None = None) -> StudyConfig:
    """``values`` as a study, checked as a whole.

    Raises:
        ConfigError: listing every problem, ``problems`` found by the caller among them.
    """
    problems = list(problems or [])
    values = {"train": {}, **values}
    values.setdefault("tracking_uri", tracking_uri(Path(str(values.get("store", DEFAULT_STORE)))))
    _resolve_part(values, "train", _resolved_train, where, problems)
    if isinstance(values.get("data"), Mapping):
        values["data"] = dict(values["data"])
        _resolve_part(values["data"], "showroom", _resolved_showroom, f"{where}: data", problems)
    try:
        study = validate(StudyConfig, values, where)
    except ConfigError as error:
        raise ConfigError("\n".join([*str(error).splitlines(), *problems])) from None
    problems.extend(f"{where}: {problem}" for problem in _cross_problems(study))
    if problems:
        raise ConfigError("\n".join(problems))
    return study


def changes(old: StudyConfig, new: StudyConfig) -> list[str]:
    """``key: old -> new`` for every setting that may not change while a study has trials.

    A schedule that only one of the two has is left out: the queue may grow.
    """
    added = set(old.search.schedules) ^ set(new.search.schedules)
    ignoring = [*MUTABLE, "search.queue", *(f"search.schedules.{name}" for name in added)]
    found = differences(old.model_dump(mode="json"), new.model_dump(mode="json"), ignoring)
    return [f"{key}: {before!r} -> {after!r}" for key, (before, after) in sorted(found.items())]


def _with_schedules(search: dict[str, Any], study_file: Path) -> dict[str, Any]:
    """``search`` with the schedules file read in, cut down to those that are queued."""
    given = search.get("schedules", "schedules.yaml")
    queue = search.get("queue") or ()
    if not isinstance(given, str) or not queue or not isinstance(queue, (list, tuple)):
        if isinstance(given, str):
            search["schedules"] = {}
        return search
    known = load_yaml(study_file.parent / given)
    search["schedules"] = {name: known[name] for name in queue if name in known}
    missing = [name for name in queue if name not in known]
    if missing:
        raise ConfigError(
            f"{study_file}: search.queue: {', '.join(map(repr, missing))} not in {given}; it has "
            + ", ".join(known)
        )
    return search


def _resolve_part(
    values: dict[str, Any], key: str, resolver: Resolver, where: str, problems: list[str]
) -> None:
    """Puts another room's settings in place of those given, or their problems on the list."""
    given = values.get(key)
    if given is None or not isinstance(given, Mapping):
        return  # absent, or the model says what is wrong with it
    prefix = f"{where}: {key}." if ": " not in where else f"{where}.{key}."
    try:
        values[key] = resolver(given)
    except ConfigError as error:
        problems.extend(prefix + line.removeprefix(": ") for line in str(error).splitlines())


def _resolved_train(given: Mapping[str, Any]) -> dict[str, Any]:
    problems = []
    for key, instead in SET_BY_STUDY.items():
        if key in given:
            hint = f"the study decides it, see {instead!r}" if instead else "the study decides it"
            problems.append(f"{key}: may not be set here; {hint}")
    try:
        config = resolve({key: value for key, value in given.items() if key not in SET_BY_STUDY})
    except ConfigError as error:
        problems.extend(line.removeprefix("settings: ") for line in str(error).splitlines())
    if problems:
        raise ConfigError("\n".join(problems))
    return config.model_dump(mode="json", exclude=set(SET_BY_STUDY), exclude_none=True)


def _resolved_showroom(given: Mapping[str, Any]) -> dict[str, Any]:
    from uvtex.showroom.settings import ShowroomSettings

    settings = validate(ShowroomSettings, given, "")
    return dict(settings.model_dump(mode="json", exclude_none=True))


def _cross_problems(study: StudyConfig) -> list[str]:
    problems = []
    search = study.search
    for name in search.queue:
        if name not in search.schedules:
            problems.append(f"search.queue: no schedule is called {name!r}")
    if len(set(search.queue)) < len(search.queue):
        problems.append("search.queue: names a schedule twice")
    for name, schedule in search.schedules.items():
        problems.extend(_outside(name, schedule, search))
    problems.extend(_constants_outside(study))
    problems.extend(_constants_idle(study))
    for name in study.pruning.spare:
        if name not in search.queue:
            problems.append(f"pruning.spare: {name!r} is not in search.queue")
    names = [threshold.metric for threshold in study.thresholds]
    for index, name in enumerate(names):
        if name not in THRESHOLDS:
            problems.append(
                f"thresholds.{index}.metric: {name!r} is not measured; known: "
                + ", ".join(THRESHOLDS)
            )
        if name in names[:index]:
            problems.append(f"thresholds.{index}.metric: {name!r} has a threshold already")
    return problems


def _constants_outside(study: StudyConfig) -> list[str]:
    """Queued schedules have the train settings' constants, which must be in range as well."""
    settings = study.train_config("probe", Schedule())
    return [
        f"search.{name}: {bounds.low:g} to {bounds.high:g} leaves out {getattr(settings, name):g}, "
        f"which the train settings have"
        for name in CONSTANTS
        if (bounds := getattr(study.search, name)) is not None
        and not bounds.low <= getattr(settings, name) <= bounds.high
    ]


def _constants_idle(study: StudyConfig) -> list[str]:
    """A dimension that changes nothing. Of a set that is not built here only its manifest tells
    whether it has UV maps, and none may be there yet: :class:`Search` says what then holds."""
    exact = study.data.showroom is not None and study.train.get("preset") == "atlas"
    if study.search.w_render is None or not exact:
        return []
    return [
        "search.w_render: changes nothing, for preset 'atlas' renders a built set exactly, by its "
        "UV maps; leave it out"
    ]


def _outside(name: str, schedule: NamedSchedule, search: Search) -> list[str]:
    """A queued schedule outside the ranges would be a point that the sampler cannot model."""
    problems = []
    for term in TERMS:
        ramp: Ramp = getattr(schedule, term)
        bounds: Range = getattr(search.weights, term)
        for value in (ramp.start, ramp.start if ramp.end is None else ramp.end):
            if not bounds.low <= value <= bounds.high:
                problems.append(
                    f"search.weights.{term}: {bounds.low:g} to {bounds.high:g} leaves out "
                    f"{value:g}, which schedule {name!r} has"
                )
    if not search.tmax.low <= schedule.tmax <= search.tmax.high:
        problems.append(f"search.tmax: leaves out {schedule.tmax:g}, which {name!r} has")
    if schedule.lr_scheduler not in search.lr_schedulers:
        problems.append(
            f"search.lr_schedulers: leaves out {schedule.lr_scheduler!r}, which {name!r} has; "
            f"known: {', '.join(get_args(Scheduler))}"
        )
    return problems
