"""The display of a running study."""

from __future__ import annotations

import io

from sweep.driving.display import PlainDisplay, RichDisplay, progress_display
from sweep.study.folder import TrialRecord
from sweep.study.look import Flag, Look
from uvtex.runs.epochs import EpochReport
from uvtex.thresholds import Threshold

THRESHOLDS = (
    Threshold(metric="ssim_uv", at_least=0.245),
    Threshold(metric="haarpsi_view", at_least=0.5),
)
RECORD = TrialRecord(
    trial=7, stage="probe", schedule="direct-steady", params={}, epochs=20,
    looks=(Look(epoch=7, chance=0.0123, fresh=0.2, reason="it passes with probability 1.2 %"),),
)  # fmt: skip
VAL = {"ssim_uv": 0.2401, "haarpsi_view": 0.6, "margin": -0.02}
REPORT = EpochReport(7, {}, 1e-4, {}, VAL, 1.25, 10, True)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_lines_show_both_metrics_the_margin_and_the_probability_of_passing() -> None:
    out = io.StringIO()
    plain = progress_display("study", THRESHOLDS, out)
    assert isinstance(plain, PlainDisplay)
    plain.started(RECORD, 0)
    plain.epoch(RECORD, REPORT)
    plain.ended(RECORD.model_copy(update={"state": "pruned", "reason": "no hope"}))
    assert out.getvalue().splitlines() == [
        "0007/probe (direct-steady): starts",
        "0007/probe (direct-steady): epoch 7/20: ssim_uv 0.2401, haarpsi_view 0.6000, "
        "margin -0.020, passes with probability 1.2 %, 1.2 s",
        "0007/probe (direct-steady): pruned: no hope",
    ]
    assert "\x1b" not in out.getvalue()


def test_a_probe_that_goes_on_to_audit_the_pruner_is_told_with_the_reason() -> None:
    flag = Flag(epoch=7, chance=0.0123, share=0.3, audited=True)
    out = io.StringIO()
    plain = PlainDisplay(THRESHOLDS, out)
    plain.flagged(RECORD.model_copy(update={"flag": flag}))
    plain.flagged(RECORD.model_copy(update={"flag": flag.model_copy(update={"audited": False})}))
    assert out.getvalue() == (
        "0007/probe (direct-steady): would be stopped after epoch 7, but goes on to audit the "
        "pruner (30 % of such probes do): it passes with probability 1.2 %\n"
    )


def test_live_table_fits_80_columns_with_two_thresholds() -> None:
    out = Terminal()
    rich = progress_display("study", THRESHOLDS, out)
    assert isinstance(rich, RichDisplay)
    try:
        rich.started(RECORD, 0)
        rich.budget(5400, 12)
        rich.epoch(RECORD, REPORT)
        rich.note("a note [with brackets]")
        table = rich.lines(80)
    finally:
        rich.close()
    text = "\n".join(table)
    for part in ("0007/probe", "direct-steady", "7/20", "haarpsi_view", "0.2401", "1.2 %"):
        assert part in text
    assert "12 probes to start, 1 h 30 min of the budget left" in text
    assert "…" not in text
    assert max(map(len, table)) <= 80
    assert "a note [with brackets]" in out.getvalue()
