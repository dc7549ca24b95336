"""Studies on disk, as a driver leaves them. Their curves come from a formula."""

from __future__ import annotations

import functools
import json
import math
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sweep.study.config import StudyConfig
from sweep.study.folder import Stage, State, TrialRecord, write_record
from uvtex.config import TERMS, Ramp, Schedule
from uvtex.settings import dump_yaml
from uvtex.thresholds import Threshold, margin
from uvtex.training.schedule import learning_rate, weights

THRESHOLDS = (
    Threshold(metric="ssim_uv", at_least=0.6),
    Threshold(metric="haarpsi_view", at_least=0.3),
)
BEGAN = 1_700_000_000.0


@functools.cache
def _template() -> Path:
    """An empty MLflow store. Creating one takes seconds, and a copy is fast."""
    from sweep.tracking import client

    folder = Path(tempfile.mkdtemp(prefix="mlflow-template-"))
    client.client(f"sqlite:///{folder}/mlflow.db")
    return folder / "mlflow.db"


def empty_store(folder: Path) -> str:
    """The URI of a new, empty MLflow store in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(_template(), folder / "mlflow.db")
    return f"sqlite:///{folder}/mlflow.db"


def make_study(root: Path, name: str = "made", data: Path | None = None) -> StudyConfig:
    """A study's settings, its ``study.yaml``, and no trial; the store is below ``root``."""
    study = StudyConfig(
        name=name,
        data={"path": data or root / "data"},
        train={"image_size": 32, "width": 0.1, "val_split": 0.3, "device": "cpu", "seed": 0},
        stages={"probe": 6, "full": 10},
        thresholds=THRESHOLDS,
        replicates=1,
        store=root,
        tracking_uri=f"sqlite:///{root}/mlflow.db",
    )
    study.paths.folder.mkdir(parents=True, exist_ok=True)
    study.paths.settings.write_text(dump_yaml(study))
    return study


def add_trial(
    study: StudyConfig,
    number: int,
    *,
    stage: Stage = "probe",
    state: State = "complete",
    schedule: str = "search",
    reach: float = 0.55,
    made: int | None = None,
    grids: int = 0,
    weight: float | None = None,
    extra: dict[str, float] | None = None,
    replicate: int = 1,
    seed: int | None = None,
) -> tuple[TrialRecord, Path]:
    """Writes a trial directory whose SSIM(UV) approaches ``reach``; ``made`` limits its epochs.

    ``extra`` holds further metrics, equal at every epoch.
    """
    name = stage if replicate == 1 else f"{stage}-{replicate}"
    run_dir = study.paths.run_dir(number, name)
    (run_dir / "checkpoints").mkdir(parents=True, exist_ok=True)
    direct = 0.1 + 0.07 * (number % 8) if weight is None else weight
    shape = Schedule(
        cycle=Ramp(start=0.4, end=0.1),
        direct=Ramp(start=direct, end=1 - direct / 2),
        lr_scheduler="cosine",
    )
    config = study.train_config(stage, shape, seed=seed)
    lines = _lines(config.epochs if made is None else made, reach, config, number, extra or {})
    (run_dir / "config.yaml").write_text(dump_yaml(config))
    (run_dir / "epochs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for index in range(grids):
        _grid(
            run_dir / "grids" / f"sample_{index:03d}.png", reach + 0.05 * math.sin(index + number)
        )
    best = max(lines, key=lambda line: line["val"]["margin"], default=None)
    started = BEGAN + number * 60 + (30 if stage == "full" else 0)
    record = TrialRecord(
        trial=number,
        stage=stage,
        replicate=replicate,
        seed=seed,
        state=state,
        schedule=schedule,
        params={
            **{f"{t}_{end}": _end(shape, t, end) for t in TERMS for end in ("start", "end")},
            "lr_scheduler": "cosine" if number % 2 else "none",
            "tmax": 0.6 + 0.1 * (number % 9),
        },
        epochs=config.epochs,
        reason=None if state == "running" else f"made to end {state}",
        best_epoch=best["epoch"] if best else None,
        started=started,
        ended=None if state == "running" else started + 2.0 * len(lines),
    )
    write_record(run_dir, record)
    return record, run_dir


def add_checkpoint(
    study: StudyConfig,
    run_dir: Path,
    fingerprint: str = "f" * 16,
    table: dict[str, str] | None = None,
) -> Path:
    """Writes untrained networks as the best and the last checkpoint of a run.

    ``table`` holds the definitions of the metrics, by default those of today.
    """
    from uvtex.config import TrainConfig
    from uvtex.metric_catalogue import versions
    from uvtex.models import build
    from uvtex.runs import checkpoint
    from uvtex.runs.header import Header
    from uvtex.settings import load_yaml, validate

    config = validate(TrainConfig, load_yaml(run_dir / "config.yaml"), str(run_dir))
    networks = dict(zip(("predictor", "renderer"), build(config, None), strict=True))
    tensors = {
        f"{name}.{key}": value
        for name, network in networks.items()
        for key, value in network.state_dict().items()
    }
    header = Header(
        config=config,
        epoch=1,
        metrics={},
        metric_versions=versions(None) if table is None else table,
        data_fingerprint=fingerprint,
    )
    for name in ("best", "best_epoch002", "best_last"):
        checkpoint.save(run_dir / "checkpoints" / f"{name}.safetensors", tensors, header)
    return run_dir / "checkpoints" / "best.safetensors"


def add_test_side(
    run_dir: Path,
    metrics: dict[str, float],
    fingerprint: str = "t" * 16,
    table: dict[str, str] | None = None,
) -> None:
    """Writes a run's figures on the test side. ``table`` is as in :func:`add_checkpoint`."""
    from uvtex.metric_catalogue import versions
    from uvtex.runs.folder import RunFolder
    from uvtex.runs.test_figures import FinalFigures

    figures = FinalFigures(
        checkpoint="checkpoints/best.safetensors",
        sha256="",
        epoch=1,
        test_fingerprint=fingerprint,
        metric_versions=versions(None) if table is None else table,
        samples=3,
        metrics=metrics,
        by_livery={},
    )
    RunFolder(run_dir).test.write_text(figures.model_dump_json())


def add_calibration(study: StudyConfig, deviation: float) -> None:
    """Writes a calibration in which seeds move every threshold's metric by ``deviation``."""
    from sweep.study.calibration import (
        Calibration,
        MetricNoise,
        Spread,
        StageCalibration,
        write_calibration,
    )

    spread = Spread(deviation=deviation, degrees=12)
    noise = {t.metric: MetricNoise(seeds=spread, pairs=spread) for t in THRESHOLDS}
    stage = StageCalibration(means={}, noise=noise, seconds=1.0, epochs=10)
    write_calibration(study.paths, Calibration(runs=(), stages={"probe": stage, "full": stage}))


def make_whole_study(root: Path, trials: int = 6) -> StudyConfig:
    """Pruned and complete probes, a promoted one and its full run, which passed."""
    study = make_study(root)
    names = ["baseline", "uv-heavy"]
    for number in range(trials - 1):
        pruned = number % 3 == 2
        add_trial(
            study,
            number,
            state="pruned" if pruned else "complete",
            schedule=names[number] if number < len(names) else "search",
            reach=0.45 + 0.02 * (number % 7),
            made=3 if pruned else None,
            grids=0 if pruned else 3,
        )
    add_trial(study, trials - 1, state="promoted", reach=0.63, grids=3)
    _, full = add_trial(study, trials - 1, stage="full", reach=0.66, grids=3)
    add_checkpoint(study, full)
    return study


def _lines(
    epochs: int, reach: float, config: Any, number: int, extra: dict[str, float]
) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for epoch in range(1, epochs + 1):
        rise = 1 - math.exp(-epoch / 2)
        wobble = 0.01 * math.sin(7 * epoch + number)
        val = {
            "ssim_uv": reach * rise + wobble,
            "ssim_uv_visible": 0.9 * reach * rise,
            "ssim_view": 0.5 * rise,
            "ssim_view_true": 0.45 * rise,
            "haarpsi_view": (reach - 0.25) * rise - wobble,
            "total": 0.4 - 0.2 * rise,
            "total_ref": 0.42 - 0.2 * rise,
            **extra,
        }
        val["margin"] = margin(val, config.thresholds)
        best = all(val["margin"] > line["val"]["margin"] for line in lines)
        terms = ("cycle", "uv", "direct", "cross")
        lines.append(
            {
                "epoch": epoch,
                "weights": weights(config.schedule, epoch, config.epochs),
                "lr": learning_rate(config.lr, config.schedule, epoch, config.epochs),
                "train": dict.fromkeys(terms, 0.3 - 0.1 * rise) | {"total": 0.3},
                "val": val,
                "seconds": 2.0,
                "images": 40,
                "best": best,
            }
        )
    return lines


def _end(schedule: Schedule, term: str, end: str) -> float:
    ramp: Ramp = getattr(schedule, term)
    return ramp.start if end == "start" or ramp.end is None else ramp.end


def _grid(path: Path, ssim: float) -> None:
    """Six coloured tiles with the sample's figure in the PNG's text."""
    path.parent.mkdir(exist_ok=True)
    tiles = np.zeros((54, 6 * 48, 3), np.uint8)
    for tile in range(6):
        tiles[6:, tile * 48 : (tile + 1) * 48] = (40 * tile, int(255 * ssim), 200 - 30 * tile)
    text = PngInfo()
    text.add_text("ssim_uv", f"{ssim:.6f}")
    Image.fromarray(tiles).save(path, pnginfo=text)
