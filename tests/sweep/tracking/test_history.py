"""The champion's history: never rewritten, finished after a crash, and the way back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from sweep.study.folder import tracking_uri
from sweep.tracking import client as seam
from sweep.tracking.client import RegistryError
from sweep.tracking.registry import history, rollback, standing
from sweep.tracking.registry.history import Event, crown, former_champions, read_events
from tests.sweep.made_study import empty_store


def event(version: str, before: str | None, kind: str = "promotion") -> Event:
    return Event.model_validate(
        {"at": "2026-11-26T12:00:00+00:00", "kind": kind, "version": version, "before": before,
         "reason": "why"}
    )  # fmt: skip


@pytest.fixture
def uri(tmp_path: Path) -> str:
    """A registry with three versions, without models and without champion."""
    uri = empty_store(tmp_path)
    client = MlflowClient(uri)
    client.create_registered_model("uvtex")
    tags = {"sweep.study": "made", "sweep.trial": "7", "sweep.admitted": "true"}
    for _ in range(3):
        client.create_model_version("uvtex", source=str(tmp_path), tags=tags)
    return uri


def aliases(uri: str) -> dict[str, str]:
    found = MlflowClient(uri).get_registered_model("uvtex").aliases
    return {name: str(version) for name, version in found.items()}


def crowned(uri: str, *versions: str) -> MlflowClient:
    client = seam.client(uri)
    for version in versions:
        crown(client, version, "promotion", f"{version} is better")
    return client


def test_each_change_is_an_event_and_earlier_events_stay_as_they_were(uri: str) -> None:
    client = crowned(uri, "1", "2")
    before = dict(client.get_registered_model("uvtex").tags)
    crown(client, "3", "override", "r" * 9000)
    after = client.get_registered_model("uvtex").tags
    kept = before.keys() - {history.SHOWN}
    assert {key: after[key] for key in kept} == {key: before[key] for key in kept}
    events = list(read_events(after).values())
    assert [(e.version, e.before) for e in events] == [("1", None), ("2", "1"), ("3", "2")]
    assert all(len(value) < 5000 for value in after.values())
    assert aliases(uri) == {"champion": "3", "challenger": "2"}


def test_a_crash_between_event_and_alias_is_finished_by_the_next_call(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = crowned(uri, "1")

    def dies(*_: object) -> None:
        raise MlflowException("the server went away")

    with monkeypatch.context() as patch:
        patch.setattr(client, "set_registered_model_alias", dies)
        with pytest.raises(MlflowException):
            crown(client, "2", "promotion", "2 is better")
    assert aliases(uri)["champion"] == "1"
    found = standing(uri)
    assert found.champion is not None
    assert found.champion.version == aliases(uri)["champion"] == "2"
    assert found.event is not None
    assert found.event.reason == "2 is better"
    assert len(standing(uri).events) == 2


def test_an_alias_that_a_person_set_stays_and_is_told(uri: str) -> None:
    client = crowned(uri, "1", "2")
    client.set_registered_model_alias("uvtex", "champion", "3")
    found = standing(uri)
    assert found.champion is not None
    assert (found.champion.version, found.event) == ("3", None)
    assert found.note == "set in MLflow and not by `sweep`; version 2 was champion before"
    assert rollback(uri, None, "back").champion == standing(uri).champion
    assert aliases(uri)["champion"] == "2"
    assert list(standing(uri).events.values())[-1].before == "3"


def test_two_events_of_one_number_are_both_kept_and_the_later_one_holds(uri: str) -> None:
    client = crowned(uri, "1")
    for version, at in (("2", "2030-01-01T00:00:01+00:00"), ("3", "2030-01-01T00:00:02+00:00")):
        value = event(version, "1").model_copy(update={"at": at}).model_dump_json()
        client.set_registered_model_tag("uvtex", f"sweep.history.0002-0000000{version}", value)
    assert len(standing(uri).events) == 3
    assert aliases(uri)["champion"] == "3"


@pytest.mark.parametrize("value", ["", "{", "[]", json.dumps({"version": 3})])
def test_a_tag_that_is_no_event_is_left_alone(uri: str, value: str) -> None:
    client = crowned(uri, "1")
    client.set_registered_model_tag("uvtex", "sweep.history.0005-00000000", value)
    crown(client, "2", "promotion", "better")
    tags = client.get_registered_model("uvtex").tags
    assert tags["sweep.history.0005-00000000"] == value
    assert [key[:18] for key in read_events(tags)] == ["sweep.history.0001", "sweep.history.0006"]


def test_two_processes_never_change_the_champion_of_a_store_at_once(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowned(uri, "1", "2")
    monkeypatch.setattr(history, "BUSY_SECONDS", 0.1)
    with (
        history.changing(uri),
        pytest.raises(RegistryError, match="another process has been changing the champion"),
    ):
        rollback(uri, None, "why")
    assert aliases(uri)["champion"] == "2"


def test_rollback_goes_back_one_champion_at_a_time_and_each_step_is_kept(uri: str) -> None:
    crowned(uri, "1", "2", "3")
    for expected in ("2", "1"):
        found = rollback(uri, None, "seams on the roof")
        assert found.champion is not None
        assert found.champion.version == expected
        assert found.event is not None
        assert (found.event.kind, found.event.reason) == ("rollback", "seams on the roof")
    with pytest.raises(RegistryError, match="no version was champion before this one"):
        rollback(uri, None, "further")
    assert len(standing(uri).events) == 5


def test_rollback_to_the_champion_itself_changes_nothing(uri: str) -> None:
    crowned(uri, "1", "2")
    assert len(rollback(uri, "2", "why").events) == 2


def test_rollback_to_a_version_that_is_not_there_lists_those_that_are(uri: str) -> None:
    crowned(uri, "1")
    with pytest.raises(RegistryError, match="no version 9 of uvtex; there are: 1, 2, 3"):
        rollback(uri, "9", "why")


def test_a_deleted_champion_is_told_and_rollback_skips_deleted_versions(uri: str) -> None:
    client = crowned(uri, "1", "2", "3")
    client.delete_model_version("uvtex", "3")
    client.delete_model_version("uvtex", "2")
    found = standing(uri)
    assert found.champion is None
    assert found.note is not None
    assert "version 3 was champion, and was deleted" in found.note
    again = rollback(uri, None, "deleted")
    assert again.champion is not None
    assert again.champion.version == "1"
    assert aliases(uri) == {"champion": "1"}


def test_a_store_without_a_model_has_no_champion_and_nothing_to_go_back_to(tmp_path: Path) -> None:
    uri = empty_store(tmp_path)
    assert standing(uri).champion is None
    with pytest.raises(RegistryError, match="nothing is registered yet"):
        rollback(uri, None, "why")


@pytest.mark.parametrize("call", [standing, lambda uri: rollback(uri, None, "why")])
def test_a_store_that_is_missing_is_not_made(tmp_path: Path, call: object) -> None:
    with pytest.raises(RegistryError, match="there is no MLflow store"):
        call(tracking_uri(tmp_path))  # type: ignore[operator]
    assert not list(tmp_path.iterdir())


def test_a_server_that_is_away_is_one_error() -> None:
    with pytest.raises(RegistryError, match=r"127\.0\.0\.1:9: cannot look up the champion"):
        standing("http://127.0.0.1:9")


steps = st.lists(st.sampled_from(["1", "2", "3", "back"]), max_size=12)


@given(steps)
def test_rollbacks_undo_promotions_in_reverse(plan: list[str]) -> None:
    """A plain stack is the reference: a promotion pushes, a rollback pops."""
    events: list[Event] = []
    stack: list[str] = []
    for step in plan:
        now = stack[-1] if stack else None
        if step == "back":
            earlier = former_champions(events, now)
            assert earlier == stack[-2::-1]
            if earlier:
                stack.pop()
                events.append(event(earlier[0], now, "rollback"))
        elif step != now:
            stack.append(step)
            events.append(event(step, now))
    assert former_champions(events, stack[-1] if stack else None) == stack[-2::-1]
