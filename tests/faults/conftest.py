"""The data set and the exported model of all labs, and what an undisturbed study leaves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.faults.harness.forks import call
from tests.faults.harness.lab import Lab, Supplies
from tests.sets import make_set

MakeLab = Callable[..., Lab]
Undisturbed = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that the processes of pytest-xdist share: what one made, no other makes."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "faults"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def supplies(shared: Path) -> Supplies:
    data, model, made = shared / "set", shared / "model", shared / "made"
    with FileLock(shared / "supplies.lock"):
        if not made.exists():
            make_set(data, liveries=6, cameras=2, size=32)
            call(export_once, model)
            made.touch()
    return Supplies(data, model)


def export_once(folder: Path) -> None:
    """Exports a model of the tiny study into ``folder``, without its checkpoint."""
    from sweep.tracking import export
    from uvtex.config import resolve
    from uvtex.models import build

    predictor, _ = build(resolve({"preset": "poc05", "image_size": 32, "width": 0.1}), None)
    export.save(predictor, 32, folder, [__file__])
    (folder / "extra_files" / Path(__file__).name).unlink()


@pytest.fixture
def make_lab(tmp_path: Path, supplies: Supplies) -> Iterator[MakeLab]:
    """Makes labs, and ends their commands."""
    labs: list[Lab] = []

    def make(order: dict[str, Any] | None = None, **changes: Any) -> Lab:
        labs.append(Lab(tmp_path / f"lab{len(labs)}", supplies, changes, order or {}))
        return labs[-1]

    yield make
    for lab in labs:
        lab.close()


@pytest.fixture
def lab(make_lab: MakeLab) -> Lab:
    return make_lab()


@pytest.fixture(scope="session")
def undisturbed(supplies: Supplies, shared: Path) -> Undisturbed:
    """What a study leaves that nothing disturbs, by the settings that it changes."""

    def of(order: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        key = json.dumps([order, changes], sort_keys=True, default=str)
        name = hashlib.sha256(key.encode()).hexdigest()[:12]
        file = shared / f"{name}.json"
        with FileLock(shared / f"{name}.lock"):
            if not file.exists():
                lab = Lab(shared / name, supplies, changes, order or {})
                try:
                    lab.run()
                    file.write_text(json.dumps(lab.final()))
                finally:
                    lab.close()
        found: dict[str, Any] = json.loads(file.read_text())
        return found

    return of
