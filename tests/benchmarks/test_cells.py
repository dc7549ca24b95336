"""The file that `replay --append` keeps: cut, damaged, complete."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from benchmarks.promotion.__main__ import main

CURVES = Path(__file__).parents[2] / "benchmarks" / "promotion" / "curves"
TWO = ("--policy", "none", "--policy", "script")


def replay(kept: Path, *more: str) -> Result:
    call = ["replay", str(CURVES / "probe.npz"), "--replays", "2", "--append", str(kept)]
    return CliRunner().invoke(main, [*call, *more])


@pytest.mark.parametrize("left", [1, 20, 2000])
def test_a_file_cut_in_its_last_line_goes_on(tmp_path: Path, left: int) -> None:
    """Cut after so many bytes of the last line, or where only the line's end is missing."""
    kept = tmp_path / "results.jsonl"
    assert replay(kept, *TWO).exit_code == 0
    whole = kept.read_bytes()
    first, second = whole.splitlines(keepends=True)
    kept.write_bytes(first + second[:-1][:left])
    result = replay(kept, *TWO)
    assert result.exit_code == 0, result.output
    assert "script:" in result.output
    assert "none:" not in result.output
    assert kept.read_bytes() == whole
    assert [path.name for path in tmp_path.iterdir()] == ["results.jsonl"]


@pytest.mark.parametrize("broken", ["{", "[]", "3", '{"file": "probe"}', "", "\0"])
def test_a_broken_line_elsewhere_is_told_and_the_file_left_alone(
    tmp_path: Path, broken: str
) -> None:
    kept = tmp_path / "results.jsonl"
    replay(kept, "--policy", "none")
    content = f"{kept.read_text(encoding='utf-8')}{broken}\n{{"
    kept.write_text(content, encoding="utf-8")
    for result in (replay(kept, *TWO), CliRunner().invoke(main, ["table", str(kept)])):
        assert result.exit_code == 1
        (message,) = result.output.splitlines()
        assert f"{kept}: line 2 is not a result" in message
        assert kept.read_text(encoding="utf-8") == content


def test_json_has_the_cells_that_were_asked_for_known_or_not(tmp_path: Path) -> None:
    kept = tmp_path / "results.jsonl"
    first = json.loads(replay(kept, "--policy", "none", "--json").stdout)
    assert first["policy"] == "none"
    assert json.loads(replay(kept, "--policy", "none", "--json").stdout) == first
    both = json.loads(replay(kept, *TWO, "--json").stdout)
    assert [one["policy"] for one in both] == ["none", "script"]
    assert both[0] == first
    assert json.loads(replay(kept, *TWO, "--json").stdout) == both
    assert len(kept.read_text(encoding="utf-8").splitlines()) == 2


def test_prior_curves_make_another_cell(tmp_path: Path) -> None:
    kept = tmp_path / "results.jsonl"
    earlier = ("--earlier", str(CURVES / "full.npz"))
    assert "none:" in replay(kept, "--policy", "none").output
    assert "none:" in replay(kept, "--policy", "none", *earlier).output
    assert replay(kept, "--policy", "none", *earlier).output == ""
    without, given = map(json.loads, kept.read_text(encoding="utf-8").splitlines())
    assert given.pop("earlier") == ["full"]
    assert given == without


def test_a_gzipped_file_is_not_appended_to_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    kept = tmp_path / "results.jsonl.gz"
    kept.write_bytes(gzip.compress(b"{}\n")[:-4])
    result = replay(kept, "--policy", "none")
    assert (result.exit_code, "gunzip it first" in result.output) == (1, True)
    result = CliRunner().invoke(main, ["table", str(kept)])
    assert (result.exit_code, "gzipped file is damaged" in result.output) == (1, True)
