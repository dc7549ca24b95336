"""Preset atlas at the size of a test."""

from uvtex.config import TrainConfig, resolve

SIZE = 32


def config(**values: object) -> TrainConfig:
    small = {
        "preset": "atlas",
        "augment": {"background": 0},  # it is what these sets' cameras are told apart by
        "image_size": SIZE,
        "width": 0.15,
        "device": "cpu",
        "val_split": 0.34,
        "thresholds": [{"metric": "ssim_uv", "at_least": 0.1}],
    }
    return resolve(small, values)
