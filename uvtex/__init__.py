"""UV textures of race-car liveries from showroom pictures.

Train a model on a data set, then predict the texture of a picture:

>>> from pathlib import Path
>>> from uvtex import PairStore, Threshold, TrainConfig, Trainer, infer, load_checkpoint
>>> config = TrainConfig(
...     image_size=32, width=0.1, epochs=1, val_split=0.34, device="cpu",
...     thresholds=(Threshold(metric="ssim_uv", at_least=0.245),),
... )
>>> data = PairStore.open(Path("data/demo"), config)
>>> trainer = Trainer(config, data, run_dir=Path("runs/demo"))
>>> for report in trainer.epochs():
...     print(f"epoch {report.epoch} of {config.epochs} is the best so far: {report.best}")
epoch 1 of 1 is the best so far: True
>>> load_checkpoint(trainer.best_checkpoint).header.epoch
1
>>> [result] = infer(str(trainer.best_checkpoint), [Path("photo.png")], out=Path("textures"))
>>> result.files["texture"].as_posix()
'textures/photo_uv.png'

:class:`TrainConfig` takes its values as they are. :func:`uvtex.config.resolve` also applies the
defaults of a preset, as the command line does. Names are imported at first use, so ``import uvtex``
does not load PyTorch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uvtex.config import TrainConfig
    from uvtex.data.store import PairStore
    from uvtex.inference.fuse import fuse
    from uvtex.inference.infer import infer
    from uvtex.runs.checkpoint import load as load_checkpoint
    from uvtex.thresholds import Threshold, margin
    from uvtex.training.trainer import Trainer

    __version__: str

__all__ = [
    "PairStore",
    "Threshold",
    "TrainConfig",
    "Trainer",
    "fuse",
    "infer",
    "load_checkpoint",
    "margin",
]

_OWNERS = {
    "PairStore": ("uvtex.data.store", "PairStore"),
    "Threshold": ("uvtex.thresholds", "Threshold"),
    "TrainConfig": ("uvtex.config", "TrainConfig"),
    "Trainer": ("uvtex.training.trainer", "Trainer"),
    "fuse": ("uvtex.inference.fuse", "fuse"),
    "infer": ("uvtex.inference.infer", "infer"),
    "load_checkpoint": ("uvtex.runs.checkpoint", "load"),
    "margin": ("uvtex.thresholds", "margin"),
}
"""Public name -> the module that defines it, and its name there."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        # Read at first use, so that a checkout can be imported without being installed.
        from importlib.metadata import version

        return version("uvtex-sweep")
    if name not in _OWNERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _OWNERS[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
