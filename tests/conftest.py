"""Settings and fixtures of all tests: one thread, no network, an empty torch hub for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # on two cores, more threads are slower

import pytest
from hypothesis import settings
from PIL import Image

from tests.postgres import Postgres, programs, running_postgres
from tests.sets import make_set
from tests.showroom.made_car import obj, small_car

# No deadline: the first example loads libraries, and other work may share the cores. Fewer examples
# than Hypothesis's 100, so that the suite stays under its fifteen minutes.
settings.register_profile("untimed", deadline=None, max_examples=40)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def tiny_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of six liveries, three cameras and 32 px. No test may change it."""
    return make_set(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def car_file(tmp_path: Path) -> Path:
    """An OBJ file of a car made of two boxes."""
    path = tmp_path / "small.obj"
    path.write_text(obj(small_car()))
    return path


@pytest.fixture
def livery_folder(tmp_path: Path) -> Path:
    """A folder of two liveries, each of a single colour."""
    folder = tmp_path / "liveries"
    folder.mkdir()
    for name, colour in (("red", (200, 30, 30)), ("blue one", (20, 40, 190))):
        Image.new("RGB", (40, 40), colour).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of the test's own, which it may kill and restart."""
    bin_dir = programs()
    if bin_dir is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with running_postgres(bin_dir) as server:
        yield server


@pytest.fixture
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes ``tmp_path`` the current folder of the test."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Gives each test an empty torch hub, where downloads fail as they do without a network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch_home"))
    import torch.hub

    from uvtex.metrics import lpips

    def refuse(url: str, *args: object, **kwargs: object) -> None:
        raise OSError("no network in tests")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    lpips.find_backbone.cache_clear()
    yield
    lpips.find_backbone.cache_clear()
