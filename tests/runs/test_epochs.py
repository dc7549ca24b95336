"""The epochs of a run on disk, and which of them is the best."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.report import summary
from sweep.tracking.sync import sync
from tests.sweep.made_study import add_trial, empty_store, make_study
from uvtex.errors import DataError
from uvtex.runs.epochs import EpochReport, best_epoch, read_epochs, write_epochs
from uvtex.runs.folder import RunFolder


def report(epoch: int, margin: float) -> EpochReport:
    return EpochReport(epoch, {}, 1e-4, {}, {"margin": margin}, 1.0, 8, best=False)


FILE = RunFolder(Path()).epochs.name

margins = st.floats(allow_nan=False) | st.sampled_from([-math.inf, 0.0])


@given(st.lists(margins, max_size=12))
def test_best_epoch_is_the_earliest_with_the_largest_margin(values: list[float]) -> None:
    best = best_epoch([report(epoch, margin) for epoch, margin in enumerate(values, 1)])
    if not values:
        assert best is None
    else:
        assert best is not None
        assert best.epoch == values.index(max(values)) + 1


@given(st.data())
def test_a_truncated_file_has_its_whole_epochs(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """The file may be cut anywhere, even just before its last newline."""
    folder = tmp_path_factory.mktemp("run")
    reports = [report(epoch, -1 / epoch) for epoch in (1, 2, 3)]
    write_epochs(folder, reports)
    whole = (folder / FILE).read_bytes()
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    (folder / FILE).write_bytes(cut)
    assert read_epochs(folder) == reports[: cut.count(b"\n")]


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"epoch": 1}'])
def test_an_invalid_line_is_named(tmp_path: Path, line: str) -> None:
    write_epochs(tmp_path, [report(1, 0.0)])
    text = (tmp_path / FILE).read_text()
    (tmp_path / FILE).write_text(text + line + "\n" + text)
    with pytest.raises(DataError, match=rf"{FILE}:2: not an epoch report"):
        read_epochs(tmp_path)


def test_trainer_and_study_agree_on_a_file_cut_before_its_last_newline(tmp_path: Path) -> None:
    """The trainer trains that epoch again, so a study must not count it yet."""
    empty_store(tmp_path)
    study = make_study(tmp_path)
    _, run_dir = add_trial(study, 0)
    path = run_dir / FILE
    path.write_text(path.read_text().rstrip("\n"))
    made = read_epochs(run_dir)
    assert len(made) == 5
    nearest = summary.summarise(study).nearest
    assert nearest is not None
    assert nearest.epochs == len(made)
    assert nearest.best_epoch == best_epoch(made).epoch  # type: ignore[union-attr]
    assert sync(study).runs == 1


def test_infinite_margins_are_read_back(tmp_path: Path) -> None:
    """A metric that is NaN has the margin -inf."""
    write_epochs(tmp_path, [report(1, -math.inf), report(2, -math.inf)])
    assert best_epoch(read_epochs(tmp_path)) == report(1, -math.inf)
    assert json.loads((tmp_path / FILE).read_text().splitlines()[0])["val"]["margin"] == -math.inf
