"""The key of an opened data set names every setting that opening reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from uvtex.config import TrainConfig
from uvtex.data.store import DataKey, PairStore


class Recorder:
    """A run's settings, and the names of those that were read."""

    def __init__(self, config: TrainConfig) -> None:
        self._config = config
        self.read: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.read.add(name)
        return getattr(self._config, name)


def test_opening_a_data_set_reads_only_the_settings_of_its_key(tiny_set: Path) -> None:
    config = TrainConfig(image_size=32, val_split=0.34, device="cpu")
    recorder = Recorder(config)
    PairStore.open(tiny_set, cast(TrainConfig, recorder))
    assert recorder.read == set(DataKey._fields)
    assert DataKey.of(config) == DataKey("cpu", 32, 0.34, "livery", 0, 0.0)
