"""Whatever a worker prints, its log stays within bounds, and its end can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.launchers import worker_log
from sweep.launchers.base import Ended, EpochEnded, Job
from sweep.launchers.local import LocalLauncher, local_slots
from sweep.launchers.worker_log import LAST_LINES, keep_bounded, last_line, last_lines

CHATTY = "tests.complaints.strange_workers:chatter"


def test_a_long_log_is_cut_to_its_head_and_its_tail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_log, "LONGEST", 10_000)
    monkeypatch.setattr(worker_log, "HEAD", 1_000)
    monkeypatch.setattr(worker_log, "TAIL", 2_000)
    log = tmp_path / "worker.log"
    with log.open("ab", buffering=0) as writer:
        lines = [f"line {number:05d}\n".encode() for number in range(2_000)]
        for line in lines:
            writer.write(line)
            keep_bounded(log)
            assert log.stat().st_size <= 10_000
        writer.write(b"the end\n")
    text = log.read_bytes()
    assert text.startswith(b"line 00000\nline 00001\n")
    assert text.endswith(b"line 01998\nline 01999\nthe end\n")
    assert b" bytes are left out here ...]\n" in text


def test_a_log_within_bounds_and_one_that_is_gone_are_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    keep_bounded(log)
    assert not log.exists()
    log.write_text("short\n")
    keep_bounded(log)
    assert log.read_text() == "short\n"


def test_a_worker_that_prints_without_end_breaks_no_protocol_and_fills_no_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It prints 20 MB, some of them lines that look like events."""
    monkeypatch.setattr(worker_log, "LONGEST", 1 << 20)
    monkeypatch.setattr(worker_log, "TAIL", 1 << 18)
    log = tmp_path / "trial/worker.log"
    launcher, largest, epochs = LocalLauncher(local_slots("cpu", 1), tmp_path, CHATTY), 0, []
    try:
        launcher.start("cpu-0", Job({}, "nowhere", str(log.parent), resume=True, grids=0))
        ended = False
        while not ended:
            for event in launcher.wait(0.1):
                assert isinstance(event, EpochEnded | Ended), event
                ended = isinstance(event, Ended)
                if isinstance(event, EpochEnded):
                    epochs.append(event.report["epoch"])
                    launcher.answer("cpu-0", go_on=True)
            largest = max(largest, log.stat().st_size if log.is_file() else 0)
    finally:
        launcher.close()
    assert epochs == list(range(1, 6))
    assert largest < 12 << 20
    assert "of no interest" in last_line(log, 0)


def test_the_last_lines_leave_out_epochs_and_what_was_there_before(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    log.write_text("of an earlier run\n")
    since = log.stat().st_size
    with log.open("a") as file:
        file.writelines(f"line {number}\nepoch {number}: {{}}\n" for number in range(30))
    assert last_lines(log, since) == [f"line {n}" for n in range(30 - LAST_LINES, 30)]
    assert last_lines(log, since=1 << 30) == last_lines(log)  # it was cut meanwhile
    assert last_lines(tmp_path / "none") == []
