"""``uvtex train``: trains one model, shows its progress, and says where its files are."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
from pydantic import BaseModel

from uvtex.config import (
    NEW_TEST_SPLIT,
    PRESETS,
    TERMS,
    Schedule,
    TrainConfig,
    from_flags,
    resolve,
)
from uvtex.console import DEVICE, JSON, PATH, CleanErrorCommand, with_default
from uvtex.errors import ConfigError
from uvtex.metric_catalogue import needs_lpips
from uvtex.output import echo
from uvtex.runs.folder import RunFolder
from uvtex.settings import dump_yaml, load_yaml

if TYPE_CHECKING:
    from uvtex.training.trainer import Trainer

RUNS = Path("runs")
DEFAULTS = TrainConfig()
PRESET_DEFAULTS = {name: resolve({"preset": name}) for name in PRESETS}


def _help(what: str, setting: str) -> str:
    """``what``, followed by the default of a dotted ``setting`` and what presets make of it."""
    get = attrgetter(setting)
    presets = {name: get(config) for name, config in PRESET_DEFAULTS.items()}
    return with_default(what, get(DEFAULTS), presets)


def _weight_help(term: str, end: str) -> str:
    if end == "end" and getattr(DEFAULTS.schedule, term).end is None:
        return f"Weight of the {term} loss term in the last epoch; that of the first by default."
    epoch = {"start": "first", "end": "last"}[end]
    return _help(f"Weight of the {term} loss term in the {epoch} epoch", f"schedule.{term}.{end}")


def _flag(flag: str, kind: Any, what: str, setting: str = "") -> Any:
    name = setting or flag.removeprefix("--").replace("-", "_")
    return click.option(flag, type=kind, help=_help(what, name))


def _choice(model: type[BaseModel], field: str) -> click.Choice[str]:
    return click.Choice(get_args(model.model_fields[field].annotation))


def _train_flags(command: Any) -> Any:
    flags = [
        _flag("--epochs", int, "Number of passes over the training views"),
        _flag("--batch-size", int, "Pairs of views in a training step"),
        _flag("--views", int, "Most views of a livery that one texture is made of in training"),
        _flag("--lr", float, "Learning rate of the Adam optimiser of each network"),
        _flag(
            "--lr-scheduler",
            _choice(Schedule, "lr_scheduler"),
            "How the learning rate changes over the epochs",
            "schedule.lr_scheduler",
        ),
        click.option(
            "--lr-scheduler-tmax",
            type=int,
            help="Epochs until the cosine learning rate is lowest (T_max); --epochs by default.",
        ),
        _flag("--image-size", int, "Side of the views and textures, in pixels"),
        _flag("--val-split", float, "Share of the liveries kept for validation, 0 to 1"),
        click.option(
            "--test-split",
            type=float,
            help=with_default(
                "Share of the liveries that no choice sees, measured once at the end (0: none)",
                NEW_TEST_SPLIT,
            ),
        ),
        _flag("--seed", int, "Random seed of initial weights, data order and augmentation"),
        *(
            click.option(f"--w-{term}{suffix}", type=float, help=_weight_help(term, end))
            for suffix, end in (("", "start"), ("-end", "end"))
            for term in TERMS
        ),
        _flag("--w-flow", float, "Weight of the loss of camera and flow against the UV maps"),
        _flag("--w-render", float, "Weight of the renderer's own loss term |R(t) - v|"),
        _flag("--w-ssim", float, "Weight of the loss term 1 - SSIM of predicted and true texture"),
        _flag("--checkpoint-name", str, "Name of the run's folder in runs/ and of its checkpoints"),
        _flag("--checkpoint-every", int, "Keep NAME_epochNNN every so many epochs (0: never)"),
        click.option(
            "--preset",
            help=with_default(
                "Networks to train: poc05 (the original) or atlas (sharper textures)",
                DEFAULTS.preset,
            ),
        ),
        _flag("--width", float, "Factor on the channels of all hidden layers"),
        _flag(
            "--precision",
            _choice(TrainConfig, "precision"),
            "Arithmetic of the networks (auto: bf16 on CUDA, float32 on a CPU)",
        ),
    ]
    for flag in reversed(flags):
        command = flag(command)
    return command


@click.command(cls=CleanErrorCommand)
@click.argument("data", type=PATH)
@_train_flags
@click.option(
    "--config",
    "file",
    type=PATH,
    help="YAML file of settings; none by default. Flags override its values.",
)
@DEVICE
@click.option("--resume", is_flag=True, help="Continue the run of this name from its last epoch.")
@click.option("--force", is_flag=True, help="Delete the run of this name and start a new one.")
@JSON
def train(
    data: Path, file: Path | None, resume: bool, force: bool, as_json: bool, **given: Any
) -> None:
    """Train a model on the data set in the folder DATA.

    The run's files go to runs/NAME, where NAME is --checkpoint-name. A terminal shows a line for
    each epoch and a bar with the time left. A pipe or a file gets the lines only. With --json the
    only output is a JSON object with the paths of the run and its best checkpoint.

    \b
    Example:
      uvtex train data/demo --epochs 40 --w-uv 0.45 --w-uv-end 0.25 --lr-scheduler cosine \\
          --checkpoint-name uv-heavy --checkpoint-every 10
    """
    if resume and force:
        raise click.UsageError(
            "--resume continues a run and --force replaces it: give only one of them"
        )
    # Threads that spin while they wait slow each other down tenfold on a busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from uvtex.data.store import PairStore
    from uvtex.runs.folder import claimed
    from uvtex.training.trainer import Trainer

    config = _resolve_settings(file, given, resume)
    if not as_json:
        echo(dump_yaml(config))
    run_dir = RUNS / config.checkpoint_name
    store = PairStore.open(data, config)
    click.get_current_context().with_resource(claimed(run_dir))
    trainer = Trainer(config, store, run_dir, resume, force)
    try:
        _train_with_progress(trainer, quiet=as_json)
    except KeyboardInterrupt:
        echo(
            f"stopped; the finished epochs are in {run_dir}. To continue, run the same command "
            "with --resume.",
            err=True,
        )
        sys.exit(130)
    _print_result(trainer, as_json)


def _resolve_settings(file: Path | None, given: Mapping[str, Any], resume: bool) -> TrainConfig:
    """Settings of the file and the flags, without LPIPS thresholds if LPIPS is not available.

    They stay if they are the only ones or ``lpips_backbone`` is set: the trainer then reports why
    LPIPS is missing.
    """
    config = _with_file(file, from_flags(given))
    if "test_split" not in config.model_fields_set:
        config = resolve(config.model_dump(), {"test_split": _test_split(file, config, resume)})
    usable = tuple(t for t in config.thresholds if not needs_lpips(t.metric))
    if usable in ((), config.thresholds) or config.lpips_backbone or _has_lpips_backbone():
        return config
    echo(
        "LPIPS is not available here, because its backbone's weights are missing: the best epoch "
        f"is chosen by {', '.join(map(str, usable))} alone",
        err=True,
    )
    return config.model_copy(update={"thresholds": usable})


def _test_split(file: Path | None, config: TrainConfig, resume: bool) -> float:
    """The share of the test side where neither the file nor a flag names it.

    A run that goes on keeps what it was begun with, and a run's own ``config.yaml`` means 0.
    """
    if resume:
        begun = RunFolder(RUNS / config.checkpoint_name).read_settings()
        if begun is not None:
            return begun.test_split
    if file is not None and file == (run := RunFolder(file.parent)).settings:
        return 0.0 if run.epochs.is_file() else NEW_TEST_SPLIT
    return NEW_TEST_SPLIT


def _with_file(file: Path | None, flags: dict[str, Any]) -> TrainConfig:
    """The settings of the file and the flags. A problem of the file's names the file."""
    if file is None:
        return resolve(flags)
    values = load_yaml(file)
    try:
        return resolve(values, flags, folder=file.parent)
    except ConfigError:
        try:
            resolve(values, folder=file.parent)
        except ConfigError as error:
            lines = [line.removeprefix("settings: ") for line in str(error).splitlines()]
            raise ConfigError("\n".join(f"{file}: {line}" for line in lines)) from None
        raise  # the file alone is good


def _has_lpips_backbone() -> bool:
    from uvtex.errors import BackboneMissing
    from uvtex.metrics.lpips import find_backbone

    try:
        find_backbone(None)
    except BackboneMissing:
        return False
    return True


def _train_with_progress(trainer: Trainer, quiet: bool) -> None:
    """Runs all epochs, with a bar on a terminal, else a line an epoch; ``quiet`` prints nothing."""
    from uvtex.cli.train_progress import epoch_line, terminal_bar
    from uvtex.runs.epochs import read_epochs

    config = trainer.config
    bar = None if quiet else terminal_bar(config, trainer.data.steps(config.batch_size))
    if bar is None:
        for report in trainer.epochs():
            if not quiet:
                echo(epoch_line(report, config))
        return
    with bar:
        bar.begin(read_epochs(trainer.run.path))
        trainer.progress = bar.step
        for report in trainer.epochs():
            bar.epoch(report)


def _print_result(trainer: Trainer, as_json: bool) -> None:
    from uvtex.cli.train_progress import summary
    from uvtex.evaluation.test_side import write_test_figures
    from uvtex.runs.epochs import best_epoch, read_epochs

    run_dir, checkpoint = trainer.run.path, trainer.best_checkpoint
    best = best_epoch(read_epochs(run_dir))
    assert best is not None  # a run has at least one epoch
    test = write_test_figures(run_dir, trainer.data)
    if as_json:
        where = {"run": str(run_dir), "checkpoint": str(checkpoint), "best": best.to_dict()}
        echo(json.dumps(where if test is None else {**where, "test": test.metrics}))
    else:
        echo(summary(best, test, trainer.config, run_dir, checkpoint))
