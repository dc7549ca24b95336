"""What the benchmark of pruners says of files of curves that it cannot use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.promotion.__main__ import main
from benchmarks.promotion.hindsight import main as hindsight
from benchmarks.promotion.kinds import main as kinds
from benchmarks.promotion.task import load
from uvtex.errors import DataError

RUNS, POINTS = 6, 5


def arrays() -> dict[str, Any]:
    """Every array of the format, as it asks; thresholds of one metric more."""
    return {
        "curves": np.random.default_rng(0).random((RUNS, POINTS, 2)).astype(np.float32),
        "metrics": np.array(["accuracy", "loss"]),
        "higher_is_better": np.array([True, False]),
        "config": np.arange(RUNS),
        "lr": np.ones((RUNS, POINTS)),
        "loss_weights": np.ones((RUNS, POINTS, 3)),
        "rates": np.array([0.1, 0.3]),
        "thresholds_best": np.array([[0.9, 0.1, np.nan], [0.8, 0.2, np.nan]]),
        "notes": np.array(["anything"]),
    }


def write(path: Path, **changed: Any) -> Path:
    """The arrays with some changed; None leaves one out."""
    kept = {name: value for name, value in {**arrays(), **changed}.items() if value is not None}
    np.savez_compressed(path, **kept)
    return path


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"lr": None, "loss_weights": None, "rates": None, "thresholds_best": None},
        {"rates": None},
        {"thresholds_best": None},
        {"higher_is_better": np.array([1, 0])},
        {"curves": arrays()["curves"].astype(np.float64)},
        {"lr": np.full((RUNS, POINTS), np.nan)},
        {"notes": np.array([{}], dtype=object)},
    ],
)
def test_valid_files_load(tmp_path: Path, changed: dict[str, Any]) -> None:
    task = load(write(tmp_path / "good.npz", **changed), 0.3)
    assert task.slacks.shape == (RUNS, POINTS, 2)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"curves": np.zeros((RUNS, POINTS))}, "curves must be [N, P, J], got [6, 5]"),
        ({"curves": np.zeros((0, POINTS, 2)), "config": np.arange(0)}, "at least one run"),
        ({"curves": np.zeros((RUNS, 0, 2))}, "at least one run, point and metric"),
        ({"curves": arrays()["curves"].astype(complex)}, "curves must be real numbers"),
        ({"curves": np.full((RUNS, POINTS, 2), "a")}, "curves must be real numbers"),
        ({"curves": np.zeros((RUNS, POINTS, 2), dtype=object)}, "cannot be read"),
        ({"metrics": np.array(["one"])}, "metrics must be [2]"),
        ({"metrics": None}, "lacks metrics"),
        ({"higher_is_better": np.array([True])}, "higher_is_better must be [2]"),
        ({"higher_is_better": np.array(True)}, "higher_is_better must be [2]"),
        ({"higher_is_better": np.array([1, 2])}, "true or false"),
        ({"higher_is_better": np.array(["yes", "no"])}, "true or false"),
        ({"config": np.arange(RUNS) + 0.5}, "config must be integers"),
        ({"config": np.arange(RUNS).astype(str)}, "config must be integers"),
        ({"config": np.arange(RUNS - 1)}, "config must be [6]"),
        ({"config": np.array(1)}, "config must be [6]"),
        ({"lr": np.ones(POINTS)}, "lr must be [6, 5]"),
        ({"lr": np.full((RUNS, POINTS), "a")}, "lr must be real numbers"),
        ({"loss_weights": np.ones((RUNS, POINTS))}, "loss_weights must be [6, 5, W]"),
        ({"loss_weights": np.ones((RUNS, 1, 3))}, "loss_weights must be [6, 5, W]"),
        ({"rates": np.ones((2, 1))}, "rates must be [R]"),
        ({"thresholds_best": np.ones(2)}, "thresholds_best must be [R, 2 or more]"),
        ({"thresholds_best": np.ones((2, 1))}, "thresholds_best must be [R, 2 or more]"),
        ({"thresholds_best": np.ones((1, 2))}, "a row for each of 2 rates, got 1"),
        ({"thresholds_best": np.full((2, 2), np.nan)}, "thresholds_best must be finite"),
    ],
)
def test_an_array_that_is_not_as_the_format_asks_is_told(
    tmp_path: Path, changed: dict[str, Any], told: str
) -> None:
    assert all(told in message for message in refusals(write(tmp_path / "bad.npz", **changed)))


def refusals(path: Path) -> list[str]:
    """What each command says of a file that it refuses with one line, which names the file."""
    messages = []
    for command in (main, kinds, hindsight):
        args = ["replay", str(path)] if command is main else [str(path)]
        result = CliRunner().invoke(command, args)
        assert result.exit_code == 1
        assert isinstance(result.exception, SystemExit)
        (message,) = (line for line in result.output.splitlines() if not line.startswith("|"))
        assert str(path) in message
        assert "benchmarks/promotion/README.md" in message
        messages.append(message)
    return messages


@pytest.mark.parametrize("content", [b"", b"P", b"PK", b"epoch,loss\n1,0.5\n", b"PK\x03\x04" * 30])
def test_a_file_that_is_no_archive_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    assert all("cannot be read as an .npz file" in message for message in refusals(path))


def test_one_array_named_npz_is_told(tmp_path: Path) -> None:
    path = tmp_path / "bad.npz"
    with path.open("wb") as file:
        np.save(file, arrays()["curves"])
    assert all("cannot be read as an .npz file" in message for message in refusals(path))


def test_a_cut_file_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "bad.npz")
    path.write_bytes(path.read_bytes()[:-100])
    assert all("cannot be read as an .npz file" in message for message in refusals(path))


@pytest.mark.parametrize("compressed", [True, False])
def test_a_flipped_bit_is_harmless_or_told(tmp_path: Path, compressed: bool) -> None:
    """400 flips at random places, seed 0. Some fall on what the format does not read."""
    path = tmp_path / "bad.npz"
    (np.savez_compressed if compressed else np.savez)(path, **arrays())
    content, random, seen = path.read_bytes(), np.random.default_rng(0), 0
    for place in random.integers(8 * len(content), size=400):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << (place % 8)
        path.write_bytes(flipped)
        try:
            load(path, 0.3)
        except DataError:
            seen += 1
    assert seen > 200


@pytest.mark.parametrize("rate", ["0", "1", "-0.1", "nan", "x"])
@pytest.mark.parametrize("command", [main, kinds, hindsight])
def test_a_bad_pass_rate_is_wrong_usage(tmp_path: Path, command: Any, rate: str) -> None:
    args = [str(write(tmp_path / "good.npz")), "--pass-rate", rate]
    result = CliRunner().invoke(command, ["replay", *args] if command is main else args)
    assert result.exit_code == 2
    assert "--pass-rate" in result.output


def test_a_negative_seed_is_wrong_usage(tmp_path: Path) -> None:
    path = str(write(tmp_path / "good.npz"))
    for command, args in ((main, ["replay", path]), (main, ["simulate"]), (hindsight, [path])):
        result = CliRunner().invoke(command, [*args, "--seed", "-1"])
        assert result.exit_code == 2
        assert "--seed" in result.output


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["replay", str(tmp_path / "absent.npz")])
    assert result.exit_code == 1
    assert "absent.npz: No such file" in result.output
