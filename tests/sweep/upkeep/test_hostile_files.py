"""Files that somebody else wrote: no pickle is run, and no name leads out of its folder."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from mlflow.exceptions import MlflowException

from sweep.cli import main
from sweep.driving.sampling.stored_trials import stored_trials
from sweep.study.cleaned import Cleaned
from sweep.study.config import StudyConfig
from sweep.study.folder import read_record, write_record
from sweep.tracking import client as seam
from sweep.tracking.client import TrackingError
from sweep.tracking.holdings import artifact_store
from sweep.upkeep.doctor import mend
from sweep.upkeep.run_files import inspect_run
from tests.sweep.upkeep.made_store import PASSED, PLAIN, PRUNED
from uvtex.data import manifest
from uvtex.errors import UvtexError
from uvtex.files import read_npz
from uvtex.imaging import seams
from uvtex.imaging.uv_maps import read_uv_map
from uvtex.metrics.lpips import load_lpips
from uvtex.runs import checkpoint
from uvtex.runs.poc05.convert import import_original


class Trap:
    """An object whose pickle makes a folder when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "sprung"


@pytest.fixture
def trap(mark: Path) -> bytes:
    return pickle.dumps(Trap(mark))


def array_trap(mark: Path, save: Callable[..., None], **names: str) -> bytes:
    """An array of objects, as numpy saves it: a pickle inside its format."""
    file, objects = io.BytesIO(), np.array([Trap(mark)], dtype=object)
    save(file, **dict.fromkeys(names, objects)) if names else save(file, objects)
    return file.getvalue()


def torch_trap(mark: Path) -> bytes:
    """A ``.pt`` file, as torch saves it: a pickle in an archive."""
    file = io.BytesIO()
    torch.save({"model": Trap(mark)}, file)
    return file.getvalue()


def sweep(*arguments: str) -> Result:
    result = CliRunner().invoke(main, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_the_trap_works(trap: bytes, mark: Path) -> None:
    pickle.loads(trap)
    assert mark.is_dir()
    mark.rmdir()
    torch.load(io.BytesIO(torch_trap(mark)), weights_only=False)
    assert mark.is_dir()


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "checkpoint": ("best.safetensors", checkpoint.load),
    "checkpoint of the original": ("x.pt", lambda path: import_original(path, Path("out"), False)),
    "backbone of LPIPS": ("alexnet.pth", lambda path: load_lpips(str(path), torch.device("cpu"))),
    "UV map": ("uv.npz", read_uv_map),
    "plate": (
        "plate.npz",
        lambda path: read_npz(path, "falling", "reflected", dtype=np.float16, what="plate"),
    ),
    "seams": (seams.SEAMS, lambda path: seams.read(path.parent, torch.ones(4, 4))),
    "manifest": ("manifest.json", lambda path: manifest.read(path.parent)),
}


@pytest.mark.parametrize("form", ["pickle", "array", "archive of arrays", "torch"])
@pytest.mark.parametrize("case", READERS)
def test_no_reader_loads_a_pickle(
    case: str, form: str, trap: bytes, mark: Path, tmp_path: Path, in_tmp_path: None
) -> None:
    name, read = READERS[case]
    content = {
        "pickle": trap,
        "array": array_trap(mark, np.save),
        "archive of arrays": array_trap(
            mark, np.savez, uv="", falling="", reflected="", a="", b="", length=""
        ),
        "torch": torch_trap(mark),
    }[form]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UvtexError):
        read(tmp_path / name)
    assert not mark.exists()


@pytest.mark.parametrize(
    "pattern",
    [
        "*.safetensors",
        "trial.json",
        "epochs.jsonl",
        "config.yaml",
        "*.png",
        "s*.json",
        "study.yaml",
    ],
)
def test_no_command_loads_a_pickle_of_a_study(
    pattern: str, whole: StudyConfig, trap: bytes, mark: Path
) -> None:
    planted = list(whole.store.rglob(pattern))
    for path in planted:
        path.write_bytes(trap)
    assert planted
    store = ["--store", str(whole.store)]
    for command in (["status", "made"], ["report", "made"], ["compare", f"made/{PASSED}"]):
        sweep(*command, *store)
    may_be_whole = pattern in ("*.png", "s*.json")  # the report writes a new summary
    assert sweep("doctor", "made", *store).exit_code == 1 or may_be_whole
    assert not mark.exists()


def test_no_cell_of_optunas_tables_is_unpickled(
    whole: StudyConfig, trap: bytes, mark: Path
) -> None:
    with closing(sqlite3.connect(whole.paths.optuna)) as database, database:
        database.execute("UPDATE trial_user_attributes SET value_json = ?", (trap,))
        database.execute("UPDATE study_system_attributes SET value_json = ?", (trap,))
        database.execute("UPDATE trial_params SET distribution_json = ?", (trap,))
    with pytest.raises((UvtexError, ValueError, TypeError)):
        stored_trials(whole)
    assert not mark.exists()


def test_a_pickle_in_place_of_the_champion_is_not_loaded(
    whole: StudyConfig, trap: bytes, mark: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow.pytorch

    from sweep.tracking.registry import fetch_checkpoint

    [folder] = (whole.paths.artifacts / whole.name / "models").glob("*/artifacts")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", whole.tracking_uri)
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "MLmodel":
            path.write_bytes(torch_trap(mark) if path.suffix == ".pt2" else trap)
    with pytest.raises(UvtexError):
        checkpoint.load(fetch_checkpoint("models:/uvtex@champion"))
    with seam.known_warnings(), pytest.raises((MlflowException, RuntimeError, ValueError, OSError)):
        mlflow.pytorch.load_model(str(folder))
    assert not mark.exists()


@pytest.mark.parametrize("name", ["../made", "../../store/studies/made", "/etc", ".", "", "made/"])
def test_a_studys_name_does_not_lead_out_of_the_store(name: str, whole: StudyConfig) -> None:
    shutil.copytree(whole.paths.folder, whole.store / "made")  # what `../made` would name
    for command in ("status", "report", "sync", "clean", "doctor", "stop", "pause", "resume"):
        result = sweep(command, name, "--store", str(whole.store))
        assert (result.exit_code, "no such study" in result.output) == (1, True), command


def test_a_run_is_not_found_outside_of_the_store(whole: StudyConfig) -> None:
    for run in ("../made/0", "made/../../0", "made/0/../probe", "made/0/probe/../full"):
        result = sweep("compare", run, "--store", str(whole.store))
        assert result.exit_code == 1


def test_a_record_cannot_name_files_elsewhere_as_removed(whole: StudyConfig) -> None:
    """Doctor removes what a record says was removed, in the run's folder and nowhere else."""
    outside = whole.store / "precious.safetensors"
    outside.write_bytes(b"precious")
    run_dir = whole.paths.run_dir(PRUNED, "probe")
    (run_dir / "link").symlink_to(outside)
    names = ("../../../../../precious.safetensors", str(outside), "link")
    record = read_record(run_dir)
    evil = record.model_copy(update={"cleaned": Cleaned(files=names, bytes=0, at=0.0)})
    write_record(run_dir, evil)
    assert "not-removed" not in {finding.kind for finding in inspect_run(whole, evil)}
    mend(whole.store, "made", lambda line: None)
    assert outside.read_bytes() == b"precious"


def test_a_linked_trial_is_not_followed(whole: StudyConfig, tmp_path: Path) -> None:
    run_dir = whole.paths.run_dir(PLAIN, "probe")
    shutil.move(run_dir, tmp_path / "elsewhere")
    run_dir.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / ".x.0123abcd.part").write_text("")
    left = mend(whole.store, "made", lambda line: None)
    assert "record-elsewhere" in {finding.kind for finding in left.findings}
    assert (tmp_path / "elsewhere" / ".x.0123abcd.part").exists()


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", ".."])
def test_no_artifact_outside_of_a_run_is_deleted(path: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(TrackingError, match="no path inside"):
        artifact_store.delete("sqlite:///none.db", (tmp_path / "run").as_uri(), path)
    assert (tmp_path / "x").exists()


def test_an_archive_of_arrays_with_a_path_outside_writes_nothing(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "uv.npz", "w") as archive:
        archive.writestr("../uv.npy", b"x")
    with pytest.raises(UvtexError):
        read_uv_map(tmp_path / "uv.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["uv.npz"]
