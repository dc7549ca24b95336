"""The text that MLflow's page shows above a version, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping

from sweep.tracking.registry.version_record import VersionRecord
from uvtex.metric_catalogue import SUMMARY
from uvtex.thresholds import Threshold

LONGEST = 4900
"""Characters. A database may hold 5000 of a description."""
LONGEST_SENTENCE = 1200
"""Characters of one decision's words, so that a page holds all its decisions."""


def version_page(version: VersionRecord) -> str:
    """Figures, their intervals, and what was decided by them."""
    parts = [
        f"Study `{version.study}`, trial {version.trial}, run `{version.run}`, schedule "
        f"`{version.schedule}`, epoch {version.epoch}.",
        "\n".join(figure_table(version)),
        told_sides(version),
        f"**Admission.** {_cut(admission(version))}",
    ]
    if version.tests:
        error = max(test.error for test in version.tests)
        parts.append(
            f"Each threshold is tested at {error:.0%}: a schedule that does not meet one in truth "
            "is admitted no more often than that. Each end of an interval is valid at 95 %."
        )
    if version.answer:
        parts.append(f"**Champion?** {_cut(version.answer)}")
    if version.override:
        parts.append(f"**Override.** {_cut(version.override)}")
    return "\n\n".join(parts)[:LONGEST]


def figure_table(version: VersionRecord) -> list[str]:
    """The lines of a Markdown table: own figures, validation's, replicates' mean and interval."""
    header, *rows = figure_rows(version)
    rule = ["---"] * len(header)
    return ["| " + " | ".join(row) + " |" for row in (header, rule, *rows)]


def figure_rows(version: VersionRecord) -> list[list[str]]:
    """Header and rows, a row a metric: those of the thresholds first."""
    bounds: dict[str, list[Threshold]] = {}
    for threshold in version.thresholds:
        bounds.setdefault(threshold.metric, []).append(threshold)
    names = [name for name in dict.fromkeys([*bounds, *SUMMARY]) if name in version.metrics]
    header = ["metric", "threshold", f"own, {version.side}"]
    tested = version.side == "test"
    if tested:
        header.append("own, validation")
    header += ["replicates", "their mean", "its interval"]
    return [header, *(_row(version, name, bounds.get(name, []), tested) for name in names)]


def _row(version: VersionRecord, name: str, bounds: list[Threshold], tested: bool) -> list[str]:
    cells = [name, ", ".join(str(t).removeprefix(f"{name} ") for t in bounds) or "-"]
    cells.append(f"{version.metrics[name]:.4f}")
    if tested:
        cells.append(_figure(version.validation, name))
    test = next((test for test in version.tests if test.metric == name), None)
    if test is None:
        return [*cells, "-", "-", "-"]
    interval = f"{test.low:.4f} to {test.high:.4f}"
    return [*cells, str(test.replicates), f"{test.mean:.4f}", interval]


def admission(version: VersionRecord) -> str:
    """Whether the trial was admitted, and why."""
    outcome = "admitted" if version.admitted else "not admitted"
    said = version.admission.startswith(("admitted", "rejected", "undecided"))
    return version.admission if said else f"{outcome}: {version.admission}"


def told_sides(version: VersionRecord) -> str:
    """What the columns of a version's figures are, in words."""
    if version.side == "test":
        return (
            "Test liveries chose nothing. Validation chose the epoch and guided the search, so its "
            "figures flatter."
        )
    return (
        "The study keeps no test side, so these are validation's figures. They flatter: they chose "
        "the epoch and guided the search."
    )


def _figure(values: Mapping[str, float], name: str) -> str:
    return f"{values[name]:.4f}" if name in values else "-"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SENTENCE else text[: LONGEST_SENTENCE - 3] + "..."
