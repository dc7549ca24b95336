"""The steps of a worker's writing, and so the points at which it may die; see driver_points."""

from __future__ import annotations

from tests.faults.harness.points import Point, file_points

CHANNEL = "sweep.launchers.channel:Channel"

CHECKPOINTS = [
    *file_points("best.safetensors", "uvtex.runs.checkpoint"),
    *file_points("best_last.safetensors", "uvtex.runs.checkpoint", 1),
    *file_points("best_last.safetensors", "uvtex.runs.checkpoint", 2),
]
EPOCHS = [
    *file_points("epochs.jsonl", "uvtex.runs.epochs", 1),
    *file_points("epochs.jsonl", "uvtex.runs.epochs", 2),
]
"""The second epoch is the probe's last: the worker then reports it and ends."""
MESSAGES = [
    Point(f"{CHANNEL}.send", when, nth)  # hello, two epochs, the end of the probe
    for nth in (1, 2, 3, 4)
    for when in ("before", "after")
]
OTHER_FILES = [
    *file_points("config.yaml", "tests.faults.harness.runner"),
    *file_points("test.json", "tests.faults.harness.runner"),
]
OF_THE_TRAINER = [
    Point("uvtex.training.trainer:write_atomic", "halfway", 1, "config.yaml"),
    Point("uvtex.training.trainer:checkpoint.save", "after", 1, "best.safetensors"),
    Point("uvtex.training.trainer:write_epochs", "before", 2),
    Point("uvtex.training.trainer:write_epochs", "after", 2),
    Point("uvtex.evaluation.test_side:write_atomic", "halfway", 1, "test.json"),
    Point("sweep.launchers.training:write_grids", "before", 1),
    Point("sweep.launchers.training:write_grids", "after", 1),
]
"""Points in a run of the real trainer, which writes by the same functions as the quick runner."""

ALL = [*CHECKPOINTS, *EPOCHS, *MESSAGES, *OTHER_FILES]
"""All but those of the real trainer."""
