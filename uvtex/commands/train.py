"""``uvtex train``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from uvtex.commands.options import DEVICE, JSON
from uvtex.config import TERMS, dump_yaml, from_flags, load_yaml, resolve

RUNS = Path("runs")


def _train_flags(command: Any) -> Any:
    flags = [
        click.option("--epochs", type=int, help="40 by default."),
        click.option("--batch-size", type=int, help="6 by default."),
        click.option("--lr", type=float, help="Learning rate of both Adams; 2e-4, atlas: 2e-3."),
        click.option("--lr-scheduler", type=click.Choice(["none", "cosine"]), help="none."),
        click.option("--lr-scheduler-tmax", type=int, help="Epochs to rate 0; the run's."),
        click.option("--image-size", type=int, help="Side in pixels; 256 by default."),
        click.option("--val-split", type=float, help="Part of the liveries that validates; 0.1."),
        click.option("--seed", type=int, help="0 by default."),
        *(
            click.option(f"--w-{term}", type=float, help=f"Weight of {term} at the start.")
            for term in TERMS
        ),
        *(
            click.option(f"--w-{term}-end", type=float, help=f"Weight of {term} at the end.")
            for term in TERMS
        ),
        click.option("--w-flow", type=float, help="Weight of camera and flow by the UV maps."),
        click.option("--w-render", type=float, help="Weight of the renderer's own term, R(t) = v."),
        click.option("--w-ssim", type=float, help="Weight of 1 - SSIM of textures with the true."),
        click.option("--checkpoint-name", help="Of the run in runs/ and its best checkpoint."),
        click.option("--checkpoint-every", type=int, help="Keep NAME_epochNNN every N epochs."),
        click.option("--preset", help="poc05 (the original) or atlas (by correspondence)."),
        click.option("--width", type=float, help="Scales the networks' channels; 1 by default."),
        click.option(
            "--precision",
            type=click.Choice(["auto", "float32", "bf16"]),
            help="Of the networks; auto, the default, is bf16 on CUDA and float32 on a CPU.",
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
    from uvtex import perceptual
    from uvtex.commands import progress
    from uvtex.data.store import PairStore
    from uvtex.report import read_epochs
    from uvtex.run_folder import claimed
    from uvtex.trainer import Trainer

    absent = [t for t in config.thresholds if "lpips" in t.metric]
    if absent and config.lpips_backbone is None and not _lpips_at_hand(perceptual):
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
    bar, showing = progress.shown(config, store.steps(config.batch_size), plain=as_json)
    try:
        with showing:
            if bar is not None:
                bar.begin(read_epochs(run_dir))
                trainer.on_step = bar.step
            for report in trainer.epochs():
                if bar is not None:
                    bar.epoch(report)
                elif not as_json:
                    click.echo(progress.line(report, config))
    except KeyboardInterrupt:
        click.echo(
            f"stopped; finished epochs are in {run_dir}. The same command with --resume goes on.",
            err=True,
        )
        sys.exit(130)
    best = [report for report in read_epochs(run_dir) if report.best][-1]
    checkpoint = trainer.best_checkpoint
    if as_json:
        where = {"run": str(run_dir), "checkpoint": str(checkpoint), "best": best.to_json()}
        click.echo(json.dumps(where))
    else:
        click.echo(progress.summary(best, config, run_dir, checkpoint))


def _lpips_at_hand(perceptual: Any) -> bool:
    from uvtex.errors import BackboneMissing

    try:
        perceptual.find_backbone(None)
    except BackboneMissing:
        return False
    return True
