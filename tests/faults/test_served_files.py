"""Files that a study can do without are freed behind an MLflow server as well."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import MakeLab
from tests.faults.harness.lab import Lab
from tests.faults.harness.servers import Server, serve_mlflow
from tests.faults.harness.tiny_study import TRAIN

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
    pytest.mark.slow,
]

PERIODIC: dict[str, Any] = {
    "trials": 2,
    "search": {"queue": ["baseline", "good"]},
    "train": {**TRAIN, "checkpoint_every": 1},
}
"""A study that keeps the checkpoint of every epoch. Trial 0 does not pass. Trial 1 does, and the
full run of it becomes champion."""


@pytest.fixture
def served(make_lab: MakeLab) -> Iterator[Lab]:
    """A study whose MLflow is a server, which keeps the artifacts in a folder of its own."""
    lab = make_lab(**PERIODIC)
    server = Server(lab.study.store, serve_mlflow)
    lab.use(tracking_uri=server.address)
    server.start()
    yield lab
    server.kill()


def checkpoints(folder: Path) -> dict[str, int]:
    """The checkpoints below a folder, without the one of a registered version -> their bytes."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in folder.glob("**/checkpoints/*.safetensors")
    }


def epochs_kept(lab: Lab, trial: str) -> int:
    """How many checkpoints of single epochs a trial's directory has."""
    folder = lab.study.paths.folder / "trials" / trial
    return len([name for name in checkpoints(folder) if re.search(r"_epoch\d", name)])


@pytest.mark.parametrize("by", ["clean", "keep"])
def test_what_a_study_can_do_without_is_freed_on_the_server(by: str, served: Lab) -> None:
    served.run()
    served.final()  # the doctor finds nothing, with the checkpoints of every epoch
    store = served.study.store
    before = checkpoints(store / "artifacts")
    assert (epochs_kept(served, "0000"), epochs_kept(served, "0001")) == (2, 5)
    command = ("clean", "tiny", "--store", str(store))
    listed = re.findall(r'"in_mlflow": (\d+)', served.run(*command, "--json"))
    if by == "clean":
        served.run(*command, "--yes")
    else:
        served.file.write_text(served.file.read_text() + "keep: verdict\n")
        served.run()
    assert (epochs_kept(served, "0000"), epochs_kept(served, "0001")) == (0, 5)
    for _ in range(2):
        after = checkpoints(store / "artifacts")
        assert after.items() < before.items()
        gone = [name for name in before if name not in after]
        assert len(gone) == 2
        assert all("/checkpoints/best_epoch00" in name for name in gone)
        freed = sum(before[name] for name in gone)
        assert [int(number) for number in listed] == [freed]
        served.run("sync", "tiny", "--store", str(store))  # which brings none of them back
    served.final()
