"""Checkpoints listed, pruned and archived. The files are made up, in the real format."""

import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from tests.raw_header import save_raw
from uvtex.cli import main
from uvtex.config import TrainConfig
from uvtex.runs.snapshots import Snapshot, archive, kept_because, removable, snapshots

RUN = Path("runs/x")


def save(name: str, epoch: int, margin: float = 0.0, run: Path = RUN) -> Path:
    path = run / "checkpoints" / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {
        "config": TrainConfig(checkpoint_name=run.name).model_dump(mode="json"),
        "epoch": epoch,
        "metrics": {"ssim_uv": 0.1 * epoch, "margin": margin},
        "data_fingerprint": "",
    }
    save_raw(path, {"predictor.w": torch.full((8,), float(epoch))}, header)
    return path


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Snapshots of epochs 1 to 6, the best and the last, and a file with a foreign name."""
    monkeypatch.chdir(tmp_path)
    for epoch in range(1, 7):
        save(f"x_epoch{epoch:03d}", epoch, margin=-abs(epoch - 4))
    save("x", 4)
    save("x_last", 6)
    save("earlier", 2)
    (RUN / "config.yaml").write_text("epochs: 6\n")
    (RUN / "epochs.jsonl").write_text("{}\n")
    (RUN / "test.json").write_text("{}\n")
    return RUN


def call(*args: Any, **kwargs: Any) -> Result:
    return CliRunner().invoke(main, ["snapshots", *(str(arg) for arg in args)], **kwargs)


def stems(run: Path = RUN) -> set[str]:
    return {path.stem for path in (run / "checkpoints").iterdir()}


KEPT = {"x", "x_last", "earlier"}
EPOCHS = {f"x_epoch{epoch:03d}" for epoch in range(1, 7)}


def test_list_shows_epoch_metrics_bytes_and_why_a_file_is_kept(run: Path) -> None:
    (run / "checkpoints/x_epoch009.safetensors").write_bytes(b"cut")
    (only,) = json.loads(call("list", run, "--keep-every", 3, "--json").stdout)
    assert only["run"] == str(run)
    rows = {row["file"].removesuffix(".safetensors"): row for row in only["checkpoints"]}
    assert {name: row["kept"] for name, row in rows.items() if row["kept"]} == {
        "x": "best",
        "x_last": "last",
        "earlier": "foreign",
        "x_epoch003": "every 3",
        "x_epoch006": "every 3",
        "x_epoch009": "broken",
    }
    assert rows["x"]["epoch"] == 4
    assert rows["x"]["metrics"]["ssim_uv"] == pytest.approx(0.4)
    assert rows["x"]["bytes"] == (run / "checkpoints/x.safetensors").stat().st_size
    assert "not a whole safetensors file" in rows["x_epoch009"]["problem"]

    table = call("list", run)
    assert table.exit_code == 0
    (best,) = (line for line in table.stdout.splitlines() if "x.safetensors" in line)
    assert "0.4000" in best
    assert best.rstrip(" │").endswith("best")
    assert "not a whole safetensors file" in table.stderr


@pytest.mark.parametrize("name", ["runs/x", "runs/x/checkpoints", "x"])
def test_a_run_can_be_given_by_its_folder_its_checkpoints_or_its_name(run: Path, name: str) -> None:
    assert json.loads(call("list", name, "--json").stdout)[0]["run"] == str(run)


def test_prune_keeps_best_last_and_every_kth(run: Path) -> None:
    result = call("prune", "x", "--keep-every", 3, "--yes")
    assert result.exit_code == 0, result.output
    assert stems() == KEPT | {"x_epoch003", "x_epoch006"}
    assert call("prune", "x", "--yes").exit_code == 0
    assert stems() == KEPT
    assert "nothing to remove" in call("prune", "x", "--yes").stdout


def test_prune_lists_the_files_before_it_asks(run: Path) -> None:
    sizes = sum((run / f"checkpoints/{name}.safetensors").stat().st_size for name in EPOCHS)
    for args, answer, code in ((["--dry-run"], "", 0), ([], "n\n", 1), ([], "", 1)):
        result = call("prune", "x", *args, input=answer)
        assert result.exit_code == code
        assert f"6 checkpoints, {sizes:,} bytes" in result.stdout
        assert all(f"{name}.safetensors" in result.stdout for name in EPOCHS)
        assert stems() == KEPT | EPOCHS
    assert call("prune", "x", input="y\n").exit_code == 0
    assert stems() == KEPT


def test_prune_keeps_the_nearest_snapshot_if_the_best_or_the_last_is_lost(run: Path) -> None:
    (run / "checkpoints/x.safetensors").write_bytes(b"cut")
    (run / "checkpoints/x_last.safetensors").unlink()
    call("prune", "x", "--yes")
    assert stems() == {"x", "earlier", "x_epoch004", "x_epoch006"}


kinds = st.sampled_from(["best", "last", "periodic", "foreign", "broken"])
folders = st.lists(st.tuples(kinds, st.integers(1, 40), st.floats(-1, 1)), max_size=8)


@given(folders, st.integers(0, 12))
def test_only_periodic_snapshots_are_removed_and_one_snapshot_always_remains(
    made: list[tuple[Any, int, float]], every: int
) -> None:
    found = [
        Snapshot(Path(f"{i}"), 1, kind, None if kind == "broken" else epoch, {"margin": margin})
        for i, (kind, epoch, margin) in enumerate(made)
    ]
    to_remove = removable(found, every)
    assert all(s.kind == "periodic" for s in to_remove)
    assert all(not every or s.epoch is None or s.epoch % every for s in to_remove)
    assert len(to_remove) + len(kept_because(found, every)) == len(found)
    assert len(to_remove) < len(found) or not found


def test_an_archive_holds_the_run_byte_for_byte(run: Path, tmp_path: Path) -> None:
    files = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    result = call("archive", "x")
    assert result.exit_code == 0, result.output
    assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == files
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-xzf", "runs/x.tar.gz", "-C", tmp_path / "out"], check=True)
    with tarfile.open("runs/x.tar.gz") as tar:
        assert {(m.uid, m.uname) for m in tar} == {(0, "")}
    assert {p: (tmp_path / "out" / p.relative_to("runs")).read_bytes() for p in files} == files
    assert [p.name for p in Path("runs").iterdir() if p.name.startswith(".")] == []


def test_an_archive_is_never_overwritten(run: Path) -> None:
    Path("runs/x.tar.gz").write_bytes(b"older")
    result = call("archive", "x", "--remove", "--yes")
    assert result.exit_code == 1
    assert "is there already" in result.stderr
    assert Path("runs/x.tar.gz").read_bytes() == b"older"
    assert stems() == KEPT | EPOCHS


def test_archive_removes_only_on_request_and_the_same_files_as_prune(run: Path) -> None:
    dry = call("archive", "x", "--remove", "--dry-run")
    assert "9 checkpoints" in dry.stdout
    assert "6 checkpoints" in dry.stdout
    assert not Path("runs/x.tar.gz").exists()
    assert call("archive", "x", "--remove", input="n\n").exit_code == 1
    assert not Path("runs/x.tar.gz").exists()
    assert call("archive", "x", "--remove", "--yes", "--out", "kept/a.tar.gz").exit_code == 0
    assert stems() == KEPT
    with tarfile.open("kept/a.tar.gz") as tar:
        assert len(tar.getnames()) == 12


def test_a_file_that_is_replaced_while_it_is_archived_is_not_removed(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = tarfile.TarFile.add

    def replace_after(self: tarfile.TarFile, name: Any, *args: Any, **kwargs: Any) -> None:
        add(self, name, *args, **kwargs)
        if Path(name).stem == "x_epoch002":
            save("x_epoch002", 2, margin=9.0)

    monkeypatch.setattr(tarfile.TarFile, "add", replace_after)
    result = call("archive", "x", "--remove", "--yes")
    assert result.exit_code == 0, result.output
    assert stems() == KEPT | {"x_epoch002"}


def test_a_file_that_is_not_in_the_archive_is_not_removed(run: Path) -> None:
    to_remove = [s for s in removable(snapshots(run)) if s.epoch == 3]
    outside = Snapshot(Path("mine.safetensors"), 1, "periodic", 9)
    outside.path.write_bytes(b"?")
    assert archive(run, Path("a.tar.gz"), [*to_remove, outside]).removed == tuple(to_remove)
    assert outside.path.exists()


@pytest.mark.parametrize("command", ["list", "prune", "archive"])
def test_a_folder_that_is_not_a_run_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call(command, "nowhere")
    assert result.exit_code == 1
    assert "nowhere: holds no folder checkpoints" in result.stderr


def test_a_run_without_checkpoints_has_nothing_to_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (RUN / "checkpoints").mkdir(parents=True)
    result = call("archive", "x")
    assert result.exit_code == 1
    assert "no checkpoint to archive" in result.stderr
    assert not Path("runs/x.tar.gz").exists()
