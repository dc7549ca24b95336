"""``uvtex train``."""

from __future__ import annotations

import json
import os
import sys
from operator import attrgetter
from pathlib import Path
from typing import Any, get_args

import click
from pydantic import BaseModel

from uvtex.config import (
    PRESETS,
    TERMS,
    Schedule,
    TrainConfig,
    dump_yaml,
    from_flags,
    load_yaml,
    resolve,
)
from uvtex.console import DEVICE, JSON, with_default
from uvtex.metric_catalogue import needs_lpips

RUNS = Path("runs")


DEFAULTS = TrainConfig()
PRESET_DEFAULTS = {name: resolve({"preset": name}) for name in PRESETS}


def _help(what: str, setting: str) -> str:
    """``what``, and the defaults of a dotted ``setting``."""
    get = attrgetter(setting)
    presets = {name: get(config) for name, config in PRESET_DEFAULTS.items()}
    return with_default(what, get(DEFAULTS), presets)


def _weight_help(term: str, end: str) -> str:
    if end == "end" and getattr(DEFAULTS.schedule, term).end is None:
        return f"Weight of {term} at the end; that at the start by default."
    return _help(f"Weight of {term} at the {end}", f"schedule.{term}.{end}")


def _flag(flag: str, kind: Any, what: str, setting: str = "") -> Any:
    name = setting or flag.removeprefix("--").replace("-", "_")
    return click.option(flag, type=kind, help=_help(what, name))


def _choice(model: type[BaseModel], field: str) -> click.Choice[str]:
    return click.Choice(get_args(model.model_fields[field].annotation))


def _train_flags(command: Any) -> Any:
    flags = [
        _flag("--epochs", int, "Passes over the training views"),
        _flag("--batch-size", int, "Pairs in a step"),
        _flag("--lr", float, "Learning rate of both Adams"),
        _flag(
            "--lr-scheduler",
            _choice(Schedule, "lr_scheduler"),
            "How the learning rate changes",
            "schedule.lr_scheduler",
        ),
        click.option(
            "--lr-scheduler-tmax",
            type=int,
            help="Epochs to the learning rate's lowest point; the run's by default.",
        ),
        _flag("--image-size", int, "Side in pixels"),
        _flag("--val-split", float, "Part of the liveries that validates"),
        _flag("--seed", int, "Of weights, order and augmentation"),
        *(
            click.option(f"--w-{term}{suffix}", type=float, help=_weight_help(term, end))
            for suffix, end in (("", "start"), ("-end", "end"))
            for term in TERMS
        ),
        _flag("--w-flow", float, "Weight of camera and flow by the UV maps"),
        _flag("--w-render", float, "Weight of the renderer's own term, R(t) = v"),
        _flag("--w-ssim", float, "Weight of 1 - SSIM of textures with the true"),
        _flag("--checkpoint-name", str, "Of the run in runs/ and its best checkpoint"),
        _flag("--checkpoint-every", int, "Keep NAME_epochNNN every N epochs, 0: never"),
        click.option(
            "--preset",
            help=with_default("poc05 (the original) or atlas (by correspondence)", DEFAULTS.preset),
        ),
        _flag("--width", float, "Scales the networks' channels"),
        _flag(
            "--precision",
            _choice(TrainConfig, "precision"),
            "Of the networks; auto is bf16 on CUDA and float32 on a CPU",
        ),
    ]
    for flag in reversed(flags):
        command = flag(command)
    return command


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@_train_flags
@click.option("--config", "file", type=click.Path(path_type=Path), help="YAML; flags win over it.")
@DEVICE
@click.option("--resume", is_flag=True, help="Continue the run of this name.")
@click.option("--force", is_flag=True, help="Replace the run of this name by a new one.")
@JSON
def train(
    data: Path, file: Path | None, resume: bool, force: bool, as_json: bool, **given: Any
) -> None:
    """Train on the data set in DATA, into runs/NAME.

    A terminal shows a bar with the time left below a line an epoch; a pipe or a file gets the
    lines alone. --json prints where things are, and nothing else.

    \b
    Example:
      uvtex train data/demo --epochs 40 --w-uv 0.45 --w-uv-end 0.25 --lr-scheduler cosine \\
          --checkpoint-name uv-heavy --checkpoint-every 10
    """
    if resume and force:
        raise click.UsageError("--resume continues a run and --force replaces it: give one of them")
    config = resolve(load_yaml(file) if file else {}, from_flags(given))
    # Threads that spin while they wait slow each other down tenfold on a busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from uvtex.cli import train_progress
    from uvtex.data.store import PairStore
    from uvtex.metrics import lpips
    from uvtex.runs.epochs import best_epoch, read_epochs
    from uvtex.runs.folder import claimed
    from uvtex.training.trainer import Trainer

    absent = [t for t in config.thresholds if needs_lpips(t.metric)]
    if absent and config.lpips_backbone is None and not _lpips_at_hand(lpips):
        kept = tuple(t for t in config.thresholds if t not in absent)
        config = config.model_copy(update={"thresholds": kept or config.thresholds})
        click.echo(
            "LPIPS is absent (its backbone is not to be had here): the best epoch is "
            f"chosen by {', '.join(map(str, kept))} alone",
            err=True,
        )
    if not as_json:
        click.echo(dump_yaml(config))
    run_dir = RUNS / config.checkpoint_name
    store = PairStore.open(data, config)
    click.get_current_context().with_resource(claimed(run_dir))
    trainer = Trainer(config, store, run_dir, resume, force)
    bar, showing = train_progress.shown(config, store.steps(config.batch_size), plain=as_json)
    try:
        with showing:
            if bar is not None:
                bar.begin(read_epochs(run_dir))
                trainer.on_step = bar.step
            for report in trainer.epochs():
                if bar is not None:
                    bar.epoch(report)
                elif not as_json:
                    click.echo(train_progress.line(report, config))
    except KeyboardInterrupt:
        click.echo(
            f"stopped; finished epochs are in {run_dir}. The same command with --resume goes on.",
            err=True,
        )
        sys.exit(130)
    best = best_epoch(read_epochs(run_dir))
    assert best is not None  # a run has at least one epoch
    checkpoint = trainer.best_checkpoint
    if as_json:
        where = {"run": str(run_dir), "checkpoint": str(checkpoint), "best": best.to_dict()}
        click.echo(json.dumps(where))
    else:
        click.echo(train_progress.summary(best, config, run_dir, checkpoint))


def _lpips_at_hand(perceptual: Any) -> bool:
    from uvtex.errors import BackboneMissing

    try:
        perceptual.find_backbone(None)
    except BackboneMissing:
        return False
    return True
