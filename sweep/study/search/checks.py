"""Checks of a study's search that need several of its settings at once."""

from __future__ import annotations

from typing import Any

from sweep.study.config import BASELINE, Pruning, StudyConfig
from sweep.study.folder import SEARCHED
from sweep.study.search import paths, space
from sweep.study.search.settings import Choices, NamedSchedule, Range
from sweep.study.thresholds.checks import threshold_problems
from uvtex.config import TERMS, Ramp, TrainConfig
from uvtex.errors import ConfigError
from uvtex.settings import Settings, validate


def search_problems(study: StudyConfig, saved: bool) -> list[str]:
    """Problems that no single setting shows, each with its key.

    Args:
        saved: whether a study saved the settings. What an earlier version took is then taken, and
            so it is where the study has trials.
    """
    problems = []
    begun = saved or (study.paths.folder / "trials").is_dir()
    search = study.search
    if SEARCHED in search.queue:
        problems.append(
            f"search.queue: {SEARCHED!r} stands for the sampler's own trials; rename the schedule"
        )
    for name in search.queue:
        if name not in search.schedules:
            problems.append(f"search.queue: there is no schedule {name!r}")
    for key in ("queue", "warm_start"):
        names = getattr(search, key)
        if len(set(names)) < len(names):
            problems.append(f"search.{key}: contains a {_NOUNS[key]} twice")
    if study.name in search.warm_start:
        problems.append(f"search.warm_start: {study.name!r} is this study itself")
    problems.extend((_path_problems(study) + _value_problems(study)) or _outside(study))
    if not begun:
        problems.extend(_pruning_problems(study))
    return problems + threshold_problems(study, begun)


_NOUNS = {"queue": "schedule", "warm_start": "study"}


def _pruning_problems(study: StudyConfig) -> list[str]:
    """That ``min_epochs`` switches pruning off. Its default may: not every probe is that long."""
    least, epochs = study.pruning.min_epochs, study.stages.probe
    if not study.pruning.enabled or least == Pruning().min_epochs or least < epochs:
        return []
    return [
        f"pruning.min_epochs: must be less than the epochs of a probe, stages.probe, got {least} "
        f"and {epochs}; to stop no probe, set pruning.enabled to false"
    ]


def _path_problems(study: StudyConfig) -> list[str]:
    """Paths that may not be searched, and weights that are both held and moved."""
    searched = study.search.space
    problems = [f"search.space.{path}: {why}" for path in searched if (why := paths.problem(path))]
    for term in TERMS:
        held = f"{paths.SCHEDULE}{term}"
        ends = [path for path in searched if path.startswith(f"{held}.")]
        if held in searched and ends:
            problems.append(
                f"search.space.{held}: holds the weight, and {ends[0]} moves it; name one of them"
            )
    return problems


def _value_problems(study: StudyConfig) -> list[str]:
    """Values that a run refuses, and values that have no effect."""
    problems = []
    for path in paths.in_order(set(study.search.space)):
        values = study.search.space[path]
        if isinstance(values, Range) and not paths.is_number(path):
            problems.append(f"search.space.{path}: is no number; give choices")
            continue
        found = (_refusal(study, path, value) for value in _ends(values))
        problems.extend(f"search.space.{path}: {said}" for said in found if said)
    return problems or _nothing_to_train(study) + _idle(study)


def _ends(values: Range | Choices) -> tuple[Any, ...]:
    return values.choices if isinstance(values, Choices) else (values.low, values.high)


def _refusal(study: StudyConfig, path: str, value: Any) -> str | None:
    """What the settings of a run say of a value, with any preset of the study; None: nothing."""
    model: type[Settings] = TrainConfig
    key = path
    if path.startswith(paths.SCHEDULE):
        model, key = NamedSchedule, path.removeprefix(paths.SCHEDULE)
    *sections, last = key.split(".")
    layer: dict[str, Any] = {last: value}
    if last == "end":
        layer["start"] = 0
    for section in reversed(sections):
        layer = {section: layer}
    layers = [layer]
    if path == "preset":
        layers = [{**study.train, **layer}]
    elif model is TrainConfig:
        layers = [{"preset": preset, **layer} for preset in _presets(study)]
    try:
        for layer in layers:
            validate(model, layer, path)
    except ConfigError as error:
        said = str(error).splitlines()[0].removeprefix(f"{path}: ")
        place, _, rest = said.partition(": ")
        return rest if " " not in place else said  # what concerns several settings has no place
    return None


def _presets(study: StudyConfig) -> tuple[Any, ...]:
    """The presets that runs of the study may have."""
    chosen = study.search.space.get("preset")
    if isinstance(chosen, Choices):
        return chosen.choices
    return (study.train.get("preset", TrainConfig().preset),)


def _nothing_to_train(study: StudyConfig) -> list[str]:
    """Whether every weight could be 0 at one end."""
    baseline = study.named_schedules[BASELINE]
    for end in ("start", "end"):
        lowest = []
        for term in TERMS:
            ramp: Ramp = getattr(baseline, term)
            path = f"{paths.SCHEDULE}{term}"
            moved = study.search.space.get(f"{path}.{end}")
            if end == "end" and moved is None and ramp.end is None:
                moved = study.search.space.get(f"{path}.start")
            values = moved or study.search.space.get(path)
            fixed = ramp.start if end == "start" or ramp.end is None else ramp.end
            lowest.append(fixed if values is None else min(float(v) for v in _ends(values)))
        if max(lowest) <= 0:
            return [
                f"search.space: all weights could be 0 at the {end}; give one of them a low above 0"
            ]
    return []


def _idle(study: StudyConfig) -> list[str]:
    """Searched settings that have no effect.

    A data set that the study does not render may not exist yet, so whether it has UV maps is
    unknown. Nothing is reported for it; see :attr:`uvtex.config.TrainConfig.w_render`.
    """
    exact = study.data.showroom is not None and set(_presets(study)) == {"atlas"}
    if "w_render" not in study.search.space or not exact:
        return []
    return [
        "search.space.w_render: has no effect, because preset 'atlas' renders exactly by the UV "
        "maps of a showroom set; remove it"
    ]


def _outside(study: StudyConfig) -> list[str]:
    """Where a queued schedule is outside the space. The sampler cannot model such a point."""
    problems: dict[str, None] = {}
    for name, schedule in study.search.schedules.items():
        try:
            params = space.params(study, schedule)
        except ValueError as error:
            problems[f"search.queue: schedule {name!r} {error}"] = None
            continue
        for path in space.outside(study, params):
            value = params[paths.parameter(path)]
            values = _said(study.search.space[path])
            if value is None:
                problems[
                    f"search.space.{path}: a queued schedule takes it from the train settings, "
                    f"where it is not set; set train.{path} to one of {values}"
                ] = None
                continue
            shown = repr(value) if isinstance(value, str) else f"{value:g}"
            owner = (
                f"schedule {name!r}" if path.startswith(paths.SCHEDULE) else "the train settings"
            )
            problems[f"search.space.{path}: {values} excludes {shown}, the value of {owner}"] = None
    return list(problems)


def _said(values: Range | Choices) -> str:
    if isinstance(values, Choices):
        return ", ".join(map(str, values.choices))
    return f"{values.low:g} to {values.high:g}"
