"""Progress of builds and imports: bars on a terminal, lines elsewhere, and the time left."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from tests.sets import make_set
from uvtex.progress import Eta, stages, timed_progress
from uvtex.showroom import ShowroomSettings
from uvtex.showroom.build import build

TINY = ShowroomSettings(size=16, texture_size=16, cameras=3, liveries=2, samples=1, supersample=1)


def on_a_terminal(command: list[str], cwd: Path) -> tuple[int, str]:
    """Runs a command with a terminal as standard error; returns exit code and standard error."""
    import pty  # not on Windows

    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "100", "TERM": "xterm", "NO_COLOR": "1"}
    with subprocess.Popen(
        command, cwd=cwd, env=environment, stderr=theirs, stdout=subprocess.DEVNULL
    ) as process:
        os.close(theirs)
        written = bytearray()
        try:
            while chunk := os.read(ours, 65536):
                written += chunk
        except OSError:  # Linux reports the closed other side by this error
            pass
    os.close(ours)
    return process.returncode, written.decode()


def test_a_build_moves_a_bar_through_liveries_and_cameras(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int, str]] = []
    lines: list[str] = []
    build(TINY, tmp_path / "set", lines.append, lambda *step: seen.append(step))
    assert [step[:3] for step in seen] == [
        *(("liveries", done, 2) for done in range(3)),
        *(("cameras", done, 3) for done in range(4)),
    ]
    assert [" left" in step[3] for step in seen[3:]] == [False, True, True, False]
    assert not any("camera" in line for line in lines), "the bar shows the cameras already"


def test_a_continued_build_counts_existing_files(tmp_path: Path) -> None:
    build(TINY, tmp_path / "set")
    (tmp_path / "set" / "manifest.json").unlink()
    seen: list[tuple[str, int, int, str]] = []
    build(TINY, tmp_path / "set", None, lambda *step: seen.append(step))
    assert seen[-1] == ("cameras", 3, 3, "")
    assert all(left == "" for _, _, _, left in seen), "existing files predict no time"


def test_without_a_bar_each_camera_prints_a_line(tmp_path: Path) -> None:
    lines: list[str] = []
    build(TINY, tmp_path / "set", lines.append)
    assert lines[0] == "2 liveries"
    assert [line[:13] for line in lines[1:]] == [f"camera {n} of 3" for n in (1, 2, 3)]


def test_output_to_a_file_has_lines_and_no_bar() -> None:
    console = Console(file=io.StringIO(), width=40)
    with stages(console) as (say, stage):
        assert stage is None
        say("a line of [more] than forty characters, kept as it is: 12")
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "a line of [more] than forty characters, kept as it is: 12\n"


def test_timed_progress_prints_a_line_every_ten_seconds_into_a_file() -> None:
    """The slow first piece, which loads libraries, does not count for the time left."""
    console, now = Console(file=io.StringIO(), width=80), [0.0]
    with timed_progress(console, lambda: now[0]) as progress:
        for done in range(1, 8):
            now[0] += 30.0 if done == 1 else 4.0
            progress("pictures", done, 7)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "pictures: 1 of 7",
        "pictures: 4 of 7, about 12 s left",
        "pictures: 7 of 7",
    ]


def test_a_long_piece_says_what_is_being_done_and_counts_once() -> None:
    console, now = Console(file=io.StringIO(), width=80), [0.0]
    with timed_progress(console, lambda: now[0]) as progress:
        for done in range(3):
            for step in ("first", "second"):
                progress("cameras", done, 3, f"cam{done}: {step} step")
                now[0] += 30.0
        progress("cameras", 3, 3)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "cameras: 0 of 3, cam0: second step",
        "cameras: 1 of 3, cam1: first step, about 2 min left",
        "cameras: 1 of 3, cam1: second step, about 2 min left",
        "cameras: 2 of 3, cam2: first step, about 60 s left",
        "cameras: 2 of 3, cam2: second step, about 30 s left",
        "cameras: 3 of 3",
    ]


def test_time_left_is_empty_until_a_piece_is_done() -> None:
    now = [0.0]
    left = Eta(clock=lambda: now[0])
    assert left.text(10) == ""
    now[0] = 100
    left.skipped()
    now[0] = 104
    left.done()
    assert left.text(9) == "about 36 s left"
    assert left.text(90) == "about 6 min left"
    assert left.text(9000) == "about 10 h 00 min left"


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is needed")
def test_commands_show_a_bar_on_a_terminal(tmp_path: Path) -> None:
    uvtex = [sys.executable, "-c", "from uvtex.cli import main; main()"]
    make_set(tmp_path / "source", liveries=2, cameras=2, size=16)
    quick = ["--size", "16", "--cameras", "2", "--liveries", "2", "--samples", "1"]
    for command, words in (
        (["data", "import", "source", "imported"], ("pictures", "4/4")),
        (["showroom", "build", "rendered", *quick], ("liveries", "cameras", "2/2")),
    ):
        code, written = on_a_terminal([*uvtex, *command], tmp_path)
        assert code == 0, written
        for word in words:
            assert word in written, (command, written)
        assert "\x1b[?25h" in written, "the cursor is shown again"
