"""What people are told of pruning: counts, the rate with its interval, and what is still open."""

from __future__ import annotations

from dataclasses import replace

from sweep.decisions.stopping.rule import History, history
from sweep.decisions.stopping.told import sentences, told
from tests.sweep.decisions.test_rule import AUDITED, EPOCHS, FLAG, ended, run


def past(stopped: int, failed: int, passed: int) -> History:
    """After forty probes that ran to their end, and these flagged ones."""
    runs = [
        *ended(40),
        *(
            replace(run(-0.9, 100 + n, epochs=7), state="stopped", flag=FLAG)
            for n in range(stopped)
        ),
        *(replace(run(-0.9, 200 + n), state="ended", flag=AUDITED) for n in range(failed)),
        *(replace(run(0.5, 300 + n), state="ended", flag=AUDITED) for n in range(passed)),
    ]
    return history(runs, EPOCHS, 0.05)


def test_without_a_flag_there_is_nothing_to_tell() -> None:
    assert sentences(told(past(0, 0, 0), EPOCHS)) == ["No probe was stopped early."]


def test_counts_costs_and_the_interval_are_told() -> None:
    found = told(past(8, 3, 0), EPOCHS)
    assert (found.flagged, found.audited, found.audited_passed) == (11, 3, 0)
    assert (found.epochs_saved, found.epochs_audited) == (8 * 13, 3 * 13)
    assert sentences(found)[0] == (
        "Of 11 probes that seemed sure to fail, 8 were stopped, which saved 104 epochs."
    )
    assert sentences(found)[1] == "3 went on as an audit, for 39 epochs; 0 of these passed."
    assert sentences(found)[2].startswith("So pruning has cost 0.")
    assert found.more_audits
    assert f"It takes {found.more_audits} more audits" in sentences(found)[3]


def test_audited_probes_that_passed_raise_rate_and_chances() -> None:
    found = told(past(8, 1, 3), EPOCHS)
    assert found.estimate > told(past(8, 4, 0), EPOCHS).estimate
    assert found.chances_raised > 1
    assert "all probabilities are now multiplied by 3" in sentences(found)[-1]
