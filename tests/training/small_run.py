"""Settings and runs that train in seconds."""

from pathlib import Path
from typing import Any

from uvtex.config import TrainConfig, resolve
from uvtex.data.store import PairStore
from uvtex.runs.epochs import read_epochs
from uvtex.training.trainer import Trainer

BASE = {
    "augment": {"background": 0},  # the cameras of this set differ only in their background
    "image_size": 32,
    "width": 0.1,
    "batch_size": 4,
    "epochs": 3,
    "val_split": 0.34,
    "device": "cpu",
    "lr": 1e-3,
    "thresholds": [{"metric": "ssim_uv", "at_least": 0.2}],
}


def settings(**changes: Any) -> TrainConfig:
    return resolve(BASE, changes)


def run(config: TrainConfig, data: Path, out: Path, resume: bool = False) -> list[dict[str, Any]]:
    trainer = Trainer(config, PairStore.open(data, config), out, resume)
    for _ in trainer.epochs():
        pass
    reports = [report.to_dict() for report in read_epochs(out)]
    for report in reports:
        report.pop("seconds")
    return reports
