"""What every test gets: one thread, no network, its own torch hub."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two tests' worth of threads on two cores is slower

import pytest

from tests.sets import make_set


@pytest.fixture(scope="session")
def tiny_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six liveries, three cameras, 32 px. Tests read it and leave it as it is."""
    return make_set(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(autouse=True)
def _offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty torch hub, and downloads that fail as they do without a network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch_home"))
    import torch.hub

    from uvtex import perceptual

    def refuse(url: str, *args: object, **kwargs: object) -> None:
        raise OSError("no network in tests")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    perceptual.find_backbone.cache_clear()
    yield
    perceptual.find_backbone.cache_clear()
