"""Which run is due next: interrupted runs, then full runs, each trial's replicates in turn."""

from __future__ import annotations

from pathlib import Path

from sweep.driving.due_runs import Records, due, next_replicate
from sweep.driving.spending import Spending
from sweep.study.config import StudyConfig
from sweep.study.folder import Gate, Stage, State, TrialRecord
from tests.sweep.fakes import study


def record(trial: int, stage: Stage, state: State, replicate: int = 1) -> TrialRecord:
    return TrialRecord(
        trial=trial, stage=stage, state=state, replicate=replicate, schedule="search",
        params={}, epochs=6,
    )  # fmt: skip


def made(*records: TrialRecord) -> Records:
    return Records(records)


def names(config: StudyConfig, records: Records, active: list[tuple[int, str]]) -> list[str]:
    return [f"{one.trial}/{one.name}" for one in due(config, records, active)]


def test_interrupted_runs_come_before_full_runs(tmp_path: Path) -> None:
    records = made(record(0, "probe", "promoted"), record(1, "probe", "interrupted"))
    assert names(study(tmp_path), records, []) == ["1/probe", "0/full"]


def test_a_run_that_has_a_slot_is_not_due(tmp_path: Path) -> None:
    records = made(record(0, "probe", "running"), record(1, "probe", "interrupted"))
    assert names(study(tmp_path), records, [(0, "probe")]) == ["1/probe"]


def test_replicates_run_one_after_the_other_each_with_a_new_seed(tmp_path: Path) -> None:
    config = study(tmp_path, replicates=3)
    probe = record(0, "probe", "promoted")
    records = made(probe)
    seeds = [probe.seed or int(config.train["seed"])]
    for number in (1, 2, 3):
        following = next_replicate(config, records, probe)
        assert following is not None
        assert following.replicate == number
        seeds.append(following.seed or 0)
        records.update(made(following))  # it runs now
        assert next_replicate(config, records, probe) is None
        records.update(made(following.model_copy(update={"state": "complete"})))
    assert len(set(seeds)) == 4
    assert next_replicate(config, records, probe) is None


def test_a_trial_that_the_gate_has_decided_on_gets_no_further_replicate(tmp_path: Path) -> None:
    gate = Gate(registered=False, reason="it fails")
    full = record(0, "full", "complete").model_copy(update={"gate": gate})
    records = made(record(0, "probe", "promoted"), full)
    assert names(study(tmp_path, replicates=5), records, []) == []


def compared(trial: int, number: int, rival: int | None) -> TrialRecord:
    gate = Gate(registered=True, reason="undecided", undecided=True, rival=rival)
    return record(trial, "full", "complete", number).model_copy(update={"gate": gate})


def test_cost_of_an_undecided_comparison_is_forecast(tmp_path: Path) -> None:
    config = study(tmp_path, replicates=3, trials=2)
    crowned = Gate(registered=True, champion=True, reason="the first")
    champion = record(0, "full", "complete").model_copy(update={"gate": crowned})
    probes = record(0, "probe", "promoted"), record(1, "probe", "promoted")
    decided = compared(1, 1, 0)
    spending = Spending(config, lambda: 0.0)
    spending.epoch_seconds = [10.0] * 8
    found = spending.forecast(made(*probes, champion, decided), devices=1)
    assert found is not None
    # Two trials, each with one or two full runs to go.
    assert found.device_hours.low > 1.5 * config.stages.full * 10 / 3600
    assert found.device_hours.high < 5 * config.stages.full * 10 / 3600


def test_an_undecided_challenger_and_the_champion_get_the_seeds_that_they_lack(
    tmp_path: Path,
) -> None:
    """The challenger goes first, and the champion only catches up."""
    config = study(tmp_path, replicates=3)
    crowned = Gate(registered=True, champion=True, reason="the first")
    champion = record(0, "full", "complete").model_copy(update={"gate": crowned})
    records = made(
        record(0, "probe", "promoted"), champion, record(1, "probe", "promoted"), compared(1, 1, 0)
    )
    order = []
    while following := names(config, records, []):
        order += following
        trial, name = following[0].split("/")
        number = int(name.removeprefix("full-"))
        records.update(made(record(int(trial), "full", "complete", number)))
    assert order == ["1/full-2", "0/full-2", "1/full-3", "0/full-3"]


def test_a_champion_of_another_study_gets_no_run_here(tmp_path: Path) -> None:
    records = made(
        record(0, "probe", "promoted"), record(0, "full", "complete"),
        record(1, "probe", "promoted"), compared(1, 1, None),
    )  # fmt: skip
    records[0, "full"] = records[0, "full"].model_copy(
        update={"gate": Gate(registered=False, reason="it fails")}
    )
    assert names(study(tmp_path, replicates=3), records, []) == ["1/full-2"]


def test_probes_that_were_not_promoted_get_no_full_run(tmp_path: Path) -> None:
    states: list[State] = ["complete", "pruned", "failed"]
    records = made(*(record(i, "probe", state) for i, state in enumerate(states)))
    assert names(study(tmp_path), records, []) == []


def test_what_is_counted_of_the_records_follows_their_changes(tmp_path: Path) -> None:
    def ended(trial: int, at: float, state: State = "complete") -> TrialRecord:
        return record(trial, "probe", state).model_copy(update={"ended": at})

    records = made(ended(0, 30.0), ended(1, 10.0, "promoted"), ended(2, 20.0, "failed"))
    full = record(1, "full", "running")
    records[full.key] = full
    assert records.probes == 3
    assert [one.key for one in records.concerned()] == [(1, "full"), (1, "probe")]
    assert [one.trial for one in records.latest("probe")] == [0, 1]
    records[1, "probe"] = ended(1, 40.0)  # its gate refused it
    records[full.key] = full.model_copy(update={"state": "complete", "ended": 50.0})
    records[0, "probe"] = record(0, "probe", "interrupted")  # taken up again
    assert records.probes == 3
    assert [one.key for one in records.concerned()] == [(0, "probe")]
    assert [one.trial for one in records.latest("probe")] == [1]
    assert [one.trial for one in records.latest("full")] == [1]
    del records[1, "probe"]
    assert records.probes == 2
    assert not list(records.latest("probe"))
