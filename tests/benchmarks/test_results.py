"""The benchmark's recorded results: complete, the source of docs/pruning.md, and made again."""

from __future__ import annotations

import gzip
import json
import re
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks.promotion.__main__ import main
from benchmarks.promotion.cells import Cell
from benchmarks.promotion.figure import Dot, _free, figure
from benchmarks.promotion.policies.optuna_pruners import PRUNERS
from benchmarks.promotion.policies.rules import RULES
from benchmarks.promotion.table import LATE

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "promotion" / "results.jsonl.gz"
POLICIES = {"ours", *RULES, *PRUNERS, "pareto-median"}


@pytest.fixture(scope="module")
def results() -> list[dict[str, Any]]:
    with gzip.open(RESULTS, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_every_policy_has_500_replays_of_every_file_and_pass_rate(
    results: list[dict[str, Any]],
) -> None:
    assert min(one["replays"] for one in results) == 500
    cells = [(one["file"], one["pass_rate"], one["policy"]) for one in results]
    files = {file for file, _, _ in cells}
    assert len(files) == 11
    assert sorted(cells) == sorted(product(files, (0.03, 0.1, 0.3), POLICIES))


def test_the_tables_and_the_figure_of_the_page_are_those_of_the_results(tmp_path: Path) -> None:
    drawn = tmp_path / "figure.svg"
    told = CliRunner().invoke(main, ["table", str(RESULTS), "--figure", str(drawn)])
    page = (ROOT / "docs" / "pruning.md").read_text(encoding="utf-8").splitlines()
    rows = [row for row in told.output.splitlines() if row.startswith("|")]
    assert len(rows) > 100
    assert set(rows) <= set(page)
    shown = ROOT / "docs" / "images" / "pruning.svg"
    assert drawn.read_text(encoding="utf-8") == shown.read_text(encoding="utf-8")


@pytest.mark.parametrize("policy", ["fixed-epoch", "successive-halving"])
def test_a_replay_makes_the_recorded_figures_again(
    results: list[dict[str, Any]], policy: str
) -> None:
    cell = Cell(RESULTS.parent / "curves" / "probe.npz", 0.3, policy, 0.05, 500, 0)
    (recorded,) = [
        one for one in results if tuple(one[key] for key in ("file", "pass_rate", "policy")) ==
        ("probe", 0.3, policy)
    ]  # fmt: skip
    made = json.loads(json.dumps(cell.measure()))
    assert _numbers(made) == pytest.approx(_numbers(recorded), rel=1e-4)


def _numbers(told: dict[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in told.items():
        name = f"{above}{key}"
        flat.update(_numbers(value, f"{name} ") if isinstance(value, dict) else {name: value})
    return {key: value for key, value in flat.items() if not isinstance(value, str)}


def test_names_in_the_figure_do_not_cover_one_another(results: list[dict[str, Any]]) -> None:
    """In each panel of the figure, and beside three dots that lie together."""
    for panel in re.split(r'font-weight="bold">[^<]* of the runs pass', figure(results))[1:]:
        names = re.findall(r'<text x="([\d.]+)" y="([\d.]+)"([^>]*)>([a-z-]+)</text>', panel)
        assert {name for *_, name in names} == POLICIES - set(LATE)
        assert len(names) == len(POLICIES) - len(LATE)
        boxes = [_box(float(x), float(y), "end" in look, name) for x, y, look, name in names]
        for one, other in combinations(boxes, 2):
            assert not _overlap(one, other)
    taken: list[tuple[float, float, float, float]] = []
    for name in ("a", "b", "c"):
        box = _free(Dot(name, 50, 50, False), taken, (0, 0, 100, 100))
        assert not any(_overlap(box, other) for other in taken)
        taken.append(box)


def _box(x: float, y: float, end: bool, name: str) -> tuple[float, float, float, float]:
    wide = 4.5 * len(name)
    return (x - wide if end else x), y - 7, (x if end else x + wide), y


def _overlap(
    one: tuple[float, float, float, float], other: tuple[float, float, float, float]
) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
