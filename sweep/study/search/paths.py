"""The settings of a run that may be searched, by their path.

A path is a key of :class:`uvtex.config.TrainConfig`, with dots between a section and a key in it.
``schedule.TERM`` stands for a weight that is held, ``schedule.TERM.start`` and
``schedule.TERM.end`` for the ends of a ramp. ``schedule.tmax`` is T_max in parts of the run's
epochs, so that a probe and its full run follow the same curve.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterator, Mapping

from pydantic.fields import FieldInfo

from sweep.study.search.settings import NamedSchedule
from uvtex.config import TERMS, Ramp, TrainConfig
from uvtex.settings import Settings

SCHEDULE = "schedule."
_SPLIT = "all trials of a study are measured on the same split, or their figures would not compare"
REFUSED = {
    "epochs": "stages sets it",
    "thresholds": "thresholds of the study sets them",
    "checkpoint_name": "the study sets it",
    "checkpoint_every": "it does not change a run's figures",
    "lpips_backbone": "it changes what is measured, and figures of several would not compare",
    "image_size": "figures of several sizes do not compare",
    "val_split": _SPLIT,
    "test_split": _SPLIT,
    "split_by": _SPLIT,
    "split_seed": _SPLIT,
    "seed": "a seed that looks good is luck; replicates repeat a run under other seeds",
    "device": "it is the machine's, and does not belong to what is found",
    "schedule.lr_scheduler_tmax": "it counts epochs, and stages have different numbers of them; "
    "search schedule.tmax, which is T_max as a share of the run's epochs",
}
"""Path that may not be searched -> why."""


@functools.cache
def searchable() -> Mapping[str, FieldInfo]:
    """Path -> its setting, in the order in which a trial's values are drawn.

    The order decides which random number each value gets. It is that of studies from before there
    were paths: the schedule's weights first, ``schedule.tmax`` last.
    """
    out: dict[str, FieldInfo] = {}
    for term in TERMS:
        out[f"{SCHEDULE}{term}"] = Ramp.model_fields["start"]
        for end in ("start", "end"):
            out[f"{SCHEDULE}{term}.{end}"] = Ramp.model_fields["start"]
    out[f"{SCHEDULE}lr_scheduler"] = NamedSchedule.model_fields["lr_scheduler"]
    for path, field in _leaves(TrainConfig):
        if path not in REFUSED and not path.startswith(SCHEDULE):
            out[path] = field
    return out | {f"{SCHEDULE}tmax": NamedSchedule.model_fields["tmax"]}


def _leaves(model: type[Settings], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Settings):
            yield from _leaves(kind, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def is_whole(path: str) -> bool:
    """Whether the setting is a whole number."""
    return searchable()[path].annotation is int


def is_number(path: str) -> bool:
    """Whether the setting is a number."""
    return searchable()[path].annotation in (int, float)


def parameter(path: str) -> str:
    """The name of a path's parameter in Optuna, in records and in charts.

    It is the path, but for the schedule: ``schedule.cross.end`` is ``cross_end``, as in studies
    from before there were paths.
    """
    if not path.startswith(SCHEDULE):
        return path
    return path.removeprefix(SCHEDULE).replace(".", "_")


def problem(path: str) -> str | None:
    """Why ``path`` may not be searched; None if it may."""
    known = searchable()
    if path in known:
        return None
    if path in REFUSED:
        return f"cannot be searched: {REFUSED[path]}"
    inside = [name for name in known if name.startswith(f"{path}.")]
    if inside:
        return f"is a section; name a setting in it: {', '.join(inside)}"
    near = difflib.get_close_matches(path, [*known, *REFUSED], n=3, cutoff=0.5)
    ends = [name for name in known if name.endswith(f".{path}")]
    hint = f"; did you mean {' or '.join(dict.fromkeys([*ends, *near]))}?" if near or ends else ""
    return f"there is no such setting of a run{hint}"


def in_order(paths: set[str]) -> list[str]:
    """``paths`` in the order of :func:`searchable`."""
    return [path for path in searchable() if path in paths]
