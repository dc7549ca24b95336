"""Checkpoints that are cut, of another preset or from a newer version; writes that fail midway."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from tests.raw_header import save_raw
from uvtex.cli import main
from uvtex.config import TrainConfig
from uvtex.errors import CheckpointError, UvtexError
from uvtex.models import build
from uvtex.runs import checkpoint
from uvtex.runs.header import Header, read_header

FILE = Path("runs/best/checkpoints/best.safetensors")
LAST = Path("runs/best/checkpoints/best_last.safetensors")
SMALL = {"image_size": 32, "width": 0.1, "epochs": 1, "val_split": 0.34, "device": "cpu"}


@pytest.fixture(autouse=True)
def _photo(in_tmp_path: None) -> None:
    Image.new("RGB", (40, 40)).save("p.png")


def write(path: Path, header: dict[str, Any]) -> None:
    """Untrained networks of preset poc05 under ``header``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    networks = zip(("predictor", "renderer"), build(TrainConfig(**SMALL), None), strict=True)
    tensors = {f"{n}.{k}": v for n, network in networks for k, v in network.state_dict().items()}
    save_raw(path, tensors, header)


def header(**changes: Any) -> dict[str, Any]:
    config = TrainConfig(**SMALL).model_dump(mode="json")
    return {"config": {**config, **changes}, "epoch": 1, "metrics": {}, "data_fingerprint": ""}


def cut(path: Path, count: int) -> None:
    path.write_bytes(path.read_bytes()[:-count])


def call(*args: Any) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


CASES: list[tuple[Callable[[Path], None], str]] = [
    (lambda p: write(p, header()) or cut(p, 1), "not a whole safetensors file"),
    (lambda p: write(p, header()) or cut(p, 4096), "not a whole safetensors file"),
    (lambda p: write(p, header(preset="atlas")), "weights do not fit preset 'atlas'"),
    (lambda p: write(p, header(width=0.2)), "weights do not fit preset 'poc05'"),
    (lambda p: write(p, header(preset="none")), "its header cannot be used"),
    (lambda p: write(p, header(colour=1)), "its header cannot be used"),
    (lambda p: write(p, {**header(), "version": 99}), "written by a newer uvtex"),
]


@pytest.mark.parametrize(("make", "says"), CASES)
@pytest.mark.parametrize("command", ["evaluate", "infer", "grid"])
def test_a_damaged_checkpoint_gets_one_message(
    tiny_set: Path, make: Callable[[Path], None], says: str, command: str
) -> None:
    make(FILE)
    args = {"evaluate": ["--data", tiny_set], "grid": ["--data", tiny_set, "--out", "o"]}
    result = call(command, FILE, *args.get(command, ["p.png", "--out", "o"]))
    assert result.exit_code == 1, result.output
    assert says in result.stderr
    assert str(FILE) in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not Path("o").exists()


@pytest.mark.parametrize(("make", "says"), [CASES[0], CASES[4], CASES[6]])
def test_resuming_from_a_damaged_checkpoint_is_refused(
    tiny_set: Path, make: Callable[[Path], None], says: str
) -> None:
    make(LAST)
    damaged = LAST.read_bytes()
    flags = ["--image-size", 32, "--width", 0.1, "--epochs", 1, "--val-split", 0.34]
    result = call("train", tiny_set, *flags, "--resume", "--json")
    assert result.exit_code == 1
    errors = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert says in errors[0]
    assert "Traceback" not in result.output
    assert LAST.read_bytes() == damaged


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The system refuses to write more than ``size`` bytes into a file, as on a full disk."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_fails_midway_leaves_only_the_previous_checkpoint() -> None:
    tensors = {"w": torch.zeros(100_000)}
    made, later = (Header(config=TrainConfig(), epoch=epoch, metrics={}) for epoch in (1, 2))
    path = Path("x.safetensors")
    checkpoint.save(path, tensors, made)
    before = path.read_bytes()
    with files_of_at_most(len(before) // 2), pytest.raises(UvtexError, match=r"x\.safetensors"):
        checkpoint.save(path, tensors, later)
    assert path.read_bytes() == before
    assert sorted(p.name for p in Path().iterdir()) == ["p.png", "x.safetensors"]
    checkpoint.save(path, tensors, later)
    assert checkpoint.read(path)[1] == later


def test_an_archive_that_fails_midway_changes_nothing() -> None:
    for epoch in (1, 2):
        write(FILE.with_name(f"best_epoch{epoch:03d}.safetensors"), {**header(), "epoch": epoch})
    before = sorted(Path().rglob("*"))
    with files_of_at_most(20_000):
        result = call("snapshots", "archive", "best", "--remove", "--yes")
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr
    assert sorted(Path().rglob("*")) == before


def test_the_header_is_read_without_the_tensors(tmp_path: Path) -> None:
    write(FILE, header())
    assert read_header(FILE) == checkpoint.read(FILE)[1]
    assert read_header(FILE).epoch == 1
    FILE.write_bytes(b"")
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        read_header(FILE)


def test_cameras_of_another_version_are_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "old.safetensors"
    with pytest.raises(CheckpointError) as refused:
        checkpoint.bank(path, {"predictor.cameras.detail": torch.zeros(1)})
    assert str(refused.value).startswith(f"{path}: another version of uvtex wrote")
    assert "__init__" not in str(refused.value)
