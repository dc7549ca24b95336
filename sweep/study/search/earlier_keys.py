"""The keys of a search before it had a space of paths. Saved studies still have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from uvtex.config import TERMS

_CONSTANTS = ("lr", "w_flow", "w_render", "w_ssim")
EARLIER = {
    "weights": "schedule.TERM.start and schedule.TERM.end for each term",
    "tmax": "schedule.tmax",
    "lr_schedulers": "schedule.lr_scheduler, as choices",
    **{name: name for name in _CONSTANTS},
}
"""Key of before -> the path in ``search.space`` that stands for it."""


def instead(values: Mapping[str, Any]) -> str:
    """What a person who writes one of the keys of before is told."""
    found = [f"{key!r} is now {EARLIER[key]}" for key in EARLIER if key in values]
    return f"name searched settings in search.space by their path: {'; '.join(found)}"


def translated(values: Mapping[str, Any], whole_schedule: Mapping[str, Any]) -> dict[str, Any]:
    """The saved settings of a search with a space in place of the keys of before.

    Args:
        whole_schedule: the space that the keys of before changed or added to.
    """
    space = dict(whole_schedule)
    for term, bounds in (values.get("weights") or {}).items():
        if term in TERMS:
            space |= {f"schedule.{term}.start": bounds, f"schedule.{term}.end": bounds}
    if values.get("lr_schedulers"):
        space["schedule.lr_scheduler"] = {"choices": values["lr_schedulers"]}
    if values.get("tmax"):
        space["schedule.tmax"] = values["tmax"]
    space |= {name: values[name] for name in _CONSTANTS if values.get(name)}
    return {**{k: v for k, v in values.items() if k not in EARLIER}, "space": space}
