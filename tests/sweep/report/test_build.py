"""The report of a study: one self-contained file, at any time of the study."""

from __future__ import annotations

import re
from html import escape, unescape
from pathlib import Path

import pytest

from sweep.driving.session import saved
from sweep.report.build import write_report
from sweep.report.charts import curves, plane
from sweep.report.importance import LEAST, importances
from sweep.report.pruning import joint_slacks
from sweep.report.schedule_panels import drawn_schedules, schedules
from sweep.report.study_data import best_and_worst, read_study_data, run_with_samples
from sweep.report.summary import summarise
from sweep.study.config import StudyConfig
from sweep.study.folder import write_record
from sweep.study.look import Flag, Forecast, Look
from sweep.tracking.schema import note
from tests.sweep.made_study import add_trial, make_study, make_whole_study
from uvtex.errors import UvtexError
from uvtex.metric_catalogue import DEFINITIONS
from uvtex.thresholds import Threshold


def html(study: StudyConfig) -> str:
    """The report without Plotly's own source."""
    text = write_report(study).read_text(encoding="utf-8")
    return re.sub(r"<script>/\*\*.*?</script>", "", text, count=1, flags=re.DOTALL)


def test_the_report_has_every_section_of_a_whole_study(tmp_path: Path) -> None:
    study = make_whole_study(tmp_path, trials=12)
    text = html(study)
    for heading in ("Optimisation history", "Learning curves", "Parameter importance", "Schedules"):
        assert f"<h2>{heading}</h2>" in text
    assert "SSIM(UV) against HaarPSI(View)" in text
    assert "promotion region" in text
    assert "baseline" in text
    assert text.count("data:image/png;base64,") == 3
    assert text.count("<tr") == 2 + 2 + 13  # two headers, champion and baseline, every run


def test_the_report_is_self_contained(tmp_path: Path) -> None:
    text = html(make_whole_study(tmp_path))
    addresses = re.findall(r"""(?:src|href)=["']([^"']*)""", text)
    assert addresses
    assert all(address.startswith(("#", "data:")) for address in addresses)
    assert "@import" not in text


@pytest.mark.parametrize("trials", [0, 1])
def test_the_report_says_what_is_missing(tmp_path: Path, trials: int) -> None:
    study = make_study(tmp_path)
    if trials:
        add_trial(study, 0, state="running", made=1)
    text = html(study)
    assert f"Fewer than {LEAST} probes" in text
    assert ("No epoch has ended yet." in text) == (trials == 0)
    assert "No run has drawn its samples yet" in text


def test_a_run_that_died_before_its_first_epoch_has_a_row(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    add_trial(study, 0, state="failed", made=0)
    assert "made to end failed" in html(study)


def test_what_was_searched_beside_the_schedule_has_a_column(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    record, run_dir = add_trial(study, 0)
    drawn = {"views": 3, "map_stiffness": 0.25, "lr": 0.00123456, "cross_end": 0.7}
    write_record(run_dir, record.model_copy(update={"params": drawn}))
    assert "map_stiffness" not in html(study)
    space = {
        "lr": {"low": 1e-4, "high": 1e-2, "log": True},
        "schedule.cross.end": {"low": 0, "high": 1},
        "map_stiffness": {"choices": [0.25, 1]},
        "refiner_depth": {"choices": [1, 2]},
        "views": {"low": 1, "high": 4},
    }
    values = study.model_dump() | {"search": study.search.model_dump() | {"space": space}}
    text = html(StudyConfig.model_validate(values))
    table = text[text.index('id="trials"') :]
    header = re.findall(r"<th[^>]*>([^<]*)</th>", table)
    row = re.findall(r"<td[^>]*>([^<]*)", table)
    figures = dict(zip(header, row, strict=True))
    expected = {"views": "3", "map_stiffness": "0.25", "lr": "0.001235", "refiner_depth": "-"}
    assert {name: figures[name] for name in expected} == expected
    assert "cross" not in " ".join(header)


HOSTILE = "<script>alert('x')</script>&\" \u8eca</td><b onclick='x'>%{y}"


def test_the_last_lines_of_a_worker_that_died_are_shown(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    record, run_dir = add_trial(study, 0, state="failed", made=0)
    said = "Traceback\n<CUDA> error"
    write_record(run_dir, record.model_copy(update={"output": said}))
    assert f"<pre>{escape(said)}</pre>" in html(study)
    assert f"```text\n{said}\n```" in note(record.model_copy(update={"output": said}))


def test_names_and_reasons_are_escaped(tmp_path: Path) -> None:
    """A schedule's name, a reason, and the file of a sample."""
    study = make_study(tmp_path)
    record, run_dir = add_trial(study, 0, state="failed", grids=1)
    write_record(run_dir, record.model_copy(update={"reason": HOSTILE, "schedule": HOSTILE}))
    (grid,) = (run_dir / "grids").glob("*.png")
    grid.rename(grid.with_name("<script>alert(2)<b>\u00fc&\"'.png".replace("/", "")))
    text = html(study)
    assert not re.search("<script>alert|<b onclick", text)
    cells = re.findall("<td[^>]*>([^<]*)</td>", text)
    assert [unescape(cell) for cell in cells].count(HOSTILE) == 2
    assert "&lt;script&gt;alert(2)&lt;b&gt;\u00fc&amp;&#34;&#39;" in text


def test_a_chart_shows_a_name_as_text(tmp_path: Path) -> None:
    """Plotly reads tags and %{...} in a text."""
    study = make_study(tmp_path)
    record, run_dir = add_trial(study, 0)
    write_record(run_dir, record.model_copy(update={"schedule": HOSTILE}))
    data = read_study_data(study)
    (panel,) = schedules(data.runs).layout.annotations
    curve = curves(data).data[0]
    assert "&lt;script&gt;" in curve.meta
    assert "%{y}" in curve.meta
    assert curve.meta in panel.text
    assert "script" not in curve.hovertemplate


def test_a_metric_column_has_the_definition_of_the_catalogue(tmp_path: Path) -> None:
    text = unescape(html(make_whole_study(tmp_path)))
    assert f'title="Higher is better. {DEFINITIONS["haarpsi"]}.">HaarPSI(View)</th>' in text


def test_the_promotion_region_follows_the_side_of_each_threshold(tmp_path: Path) -> None:
    """A threshold with ``at_most`` bounds the region from the right."""
    study = make_study(tmp_path)
    add_trial(study, 0)
    thresholds = (
        Threshold(metric="ssim_uv", at_least=0.6),
        Threshold(metric="haarpsi_view", at_most=0.3),
    )
    turned = study.model_copy(update={"asked_thresholds": thresholds})
    (region,) = [s for s in plane(read_study_data(turned)).layout.shapes if s.type == "rect"]
    assert (region.x1, region.y0) == (0.3, 0.6)
    assert region.x0 < 0.3
    assert region.y1 > 0.6


def test_importances_need_enough_complete_probes(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    for number in range(LEAST):
        add_trial(study, number, reach=0.4 + 0.02 * number)
        add_trial(study, 100 + number, state="pruned", made=3)
        shares = importances(read_study_data(study))
        assert bool(shares) == (number == LEAST - 1)
    assert sum(shares.values()) == pytest.approx(1)
    assert set(shares) == {
        *(f"{t}_{end}" for t in ("cycle", "uv", "direct", "cross") for end in ("start", "end")),
        "lr_scheduler",
        "tmax",
    }


def flagged(study: StudyConfig, number: int, *, audited: bool, mean: float = -2.0) -> None:
    """A probe that was found sure to fail after three epochs."""
    record, folder = add_trial(
        study,
        number,
        reach=0.3,
        state="complete" if audited else "pruned",
        made=None if audited else 3,
    )
    look = Look(
        epoch=3,
        chance=0.004,
        forecast=Forecast(mean=mean, deviation=0.5),
        fresh=0.2,
        reason="it passes with probability 0.4 %, a new one with 20 %",
    )
    flag = Flag(epoch=3, chance=0.004, share=0.3, audited=audited)
    write_record(folder, record.model_copy(update={"looks": (look,), "flag": flag}))


def test_stopped_probes_count_for_the_importances_by_their_forecast(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    for number in range(LEAST - 2):
        add_trial(study, number, reach=0.4 + 0.04 * number)
    assert importances(read_study_data(study)) == {}
    for number in (50, 51):
        flagged(study, number, audited=False)
    data = read_study_data(study)
    assert joint_slacks(data)[50] == -2.0
    assert sum(importances(data).values()) == pytest.approx(1)


def test_the_report_says_what_was_stopped_and_what_the_audit_found(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    add_trial(study, 0, state="promoted", reach=0.8)
    flagged(study, 1, audited=False)
    flagged(study, 2, audited=True)
    text = unescape(html(study))
    assert "Of 2 probes that seemed sure to fail, 1 was stopped, which saved 3 epochs." in text
    assert "1 went on as an audit, for 3 epochs; 0 of these passed." in text
    assert "audited: did not pass" in text
    assert "it passes with probability 0.4 %, a new one with 20 %" in text
    found = summarise(study).pruning
    assert found is not None
    assert (found.flagged, found.audited, found.epochs_saved) == (2, 1, 3)


def test_the_panel_of_a_schedule_shows_its_first_learning_rate(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    add_trial(study, 0)
    runs = read_study_data(study).runs
    (panel,) = schedules(runs).layout.annotations
    assert f"rate {runs[0].epochs[0].lr:.2g}<" in panel.text


def test_the_baseline_is_always_among_the_schedules(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    add_trial(study, 0, schedule="baseline", reach=0.2)
    for number in range(1, 12):
        add_trial(study, number, reach=0.5)
    names = [run.record.schedule for run in drawn_schedules(read_study_data(study))]
    assert len(names) == 6
    assert names[-1] == "baseline"


def test_no_sample_is_among_both_the_best_and_the_worst(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    add_trial(study, 0, reach=0.6, grids=8)
    add_trial(study, 1, reach=0.5, grids=8)
    run = run_with_samples(read_study_data(study))
    assert run is not None
    assert run.record.trial == 0
    best, worst = best_and_worst(run)
    assert len(best) == len(worst) == 3
    assert not {g.path for g in best} & {g.path for g in worst}
    figures = [grid.ssim or 0 for grid in best + list(reversed(worst))]
    assert figures == sorted(figures, reverse=True)


def test_a_store_without_the_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UvtexError, match="no such study"):
        saved(tmp_path, "made")
