"""``uvtex``: render a data set, train, evaluate, look, and use."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from uvtex import __version__
from uvtex.config import TERMS, TrainConfig, dump_yaml, load_yaml, resolve
from uvtex.console import CONTEXT, Group
from uvtex.data.cli import data as data_commands

if TYPE_CHECKING:
    from uvtex.report import EpochReport

RUNS = Path("runs")
HEADLINE = (
    "ssim_uv",
    "ssim_uv_visible",
    "l1_uv_visible",
    "ssim_view",
    "haarpsi_view",
    "lpips_view",
    "ssim_view_true",
    "ssim_view_noisy",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
DEVICE = click.option("--device", default=None, help="cpu, cuda, cuda:1 ...; auto by default.")


@click.group(cls=Group, context_settings=CONTEXT)
@click.version_option(__version__, package_name="uvtex-sweep")
def main() -> None:
    """Livery UV textures from showroom pictures.

    \b
    Example:
      uvtex showroom build data/demo --size 64 --cameras 12 --liveries 60
      uvtex train data/demo --preset bank --image-size 64 --epochs 20
      uvtex infer runs/best/checkpoints/best.safetensors photo.jpg --out textures
    """


main.add_command(data_commands)


@main.group()
def showroom() -> None:
    """Rendered data sets."""


@showroom.command("build")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--size", type=int, help="Side of the views, in pixels.")
@click.option("--texture-size", type=int, help="Side of the textures; the views' by default.")
@click.option("--cameras", type=int, help="Cameras around the car.")
@click.option("--camera-file", type=click.Path(path_type=Path), help="JSON poses, as above.")
@click.option("--liveries", metavar="N|DIR", help="Procedural liveries, or a folder of textures.")
@click.option("--samples", type=int, help="Light paths a pixel.")
@click.option("--supersample", type=int, help="UV samples along a pixel's side; 3 by default.")
@click.option("--seed", type=int, help="Of liveries, cameras and light paths.")
@click.option("--car", "file", help="OBJ or GLB; the built-in car by default.")
@click.option("--paint-material", help="The car's material that carries the livery.")
@click.option("--up", type=click.Choice(["auto", "y", "z"]), help="The car file's up; auto.")
@click.option(
    "--nose",
    type=click.Choice(["auto", "x", "-x", "y", "-y", "z", "-z"]),
    help="Where the nose points in the car's file; auto.",
)
@click.option("--unwrap", is_flag=True, default=None, help="Give the paint new UVs.")
def showroom_build(out: Path, **given: Any) -> None:
    """Render a race car in liveries from cameras all around into OUT.

    The car is the built-in one in procedural liveries, or yours in yours. An interrupted build
    goes on where it stopped.

    \b
    A camera file is a JSON list of poses; x points forward, y to the car's left,
    z up, metres, from the middle of the car on the floor; fov in degrees:
      [{"name": "front", "eye": [7, 1.5, 1.2], "target": [0, 0, 0.5], "fov": 35}]

    \b
    Example:
      uvtex showroom build data/demo --size 64 --cameras 12 --liveries 60
      uvtex showroom build data/mine --car car.glb --liveries liveries/ --texture-size 1024
    """
    from uvtex.config import load_yaml, validate
    from uvtex.showroom import build
    from uvtex.showroom.settings import ShowroomSettings

    settings = validate(ShowroomSettings, _showroom_values(given), where="showroom")
    manifest = build(settings, out, progress=lambda line: click.echo(line, err=True))
    built = validate(ShowroomSettings, load_yaml(out / "showroom.yaml"), where="showroom.yaml")
    click.echo(
        f"{manifest.parent}: {built.cameras * built.liveries} views of "
        f"{built.liveries} liveries from {built.cameras} cameras"
    )


def _showroom_values(given: dict[str, Any]) -> dict[str, Any]:
    """The flags as ShowroomSettings wants them."""
    from uvtex.errors import ConfigError
    from uvtex.showroom import poses

    values = {key: value for key, value in given.items() if value is not None}
    if "size" in values:
        values.setdefault("texture_size", values["size"])
    if "camera_file" in values:
        if "cameras" in values:
            raise ConfigError("showroom: --cameras and --camera-file exclude each other")
        values["poses"] = poses.read(values.pop("camera_file"))
    liveries = values.pop("liveries", None)
    if liveries is not None:
        count = liveries.removeprefix("-").isdecimal()
        values["liveries" if count else "livery_dir"] = int(liveries) if count else liveries
    about_car = ("file", "paint_material", "up", "nose", "unwrap")
    car = {key: values.pop(key) for key in about_car if key in values}
    if car and "file" not in car:
        flags = ", ".join(f"--{key.replace('_', '-')}" for key in car)
        raise ConfigError(f"showroom: {flags}: only with --car FILE")
    return {**values, "car": car} if car else values


def _train_flags(command: Any) -> Any:
    flags = [
        click.option("--epochs", type=int, help="40 by default."),
        click.option("--batch-size", type=int, help="6 by default."),
        click.option("--lr", type=float, help="Learning rate of both Adams; 2e-4 by default."),
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
        click.option("--checkpoint-name", help="Of the run in runs/ and its best checkpoint."),
        click.option("--checkpoint-every", type=int, help="Keep NAME_epochNNN every N epochs."),
        click.option("--preset", help="poc05 (the original) or bank (samples by known flows)."),
        click.option("--width", type=float, help="Scales the networks' channels; 1 by default."),
    ]
    for flag in reversed(flags):
        command = flag(command)
    return command


@main.command()
@click.argument("data", type=click.Path(path_type=Path))
@_train_flags
@click.option("--config", "file", type=click.Path(path_type=Path), help="YAML; flags win over it.")
@DEVICE
@click.option("--resume", is_flag=True, help="Continue the run of this name.")
@JSON
def train(data: Path, file: Path | None, resume: bool, as_json: bool, **given: Any) -> None:
    """Train on the data set in DATA, into runs/NAME.

    \b
    Example:
      uvtex train data/demo --epochs 40 --w-uv 0.45 --w-uv-end 0.25 --lr-scheduler cosine \\
          --checkpoint-name uv-heavy --checkpoint-every 10
    """
    config = resolve(load_yaml(file) if file else {}, _layer(given))
    # Threads that spin while they wait slow each other down tenfold on a busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from uvtex import metrics
    from uvtex.data.store import PairStore
    from uvtex.trainer import Trainer

    absent = [t for t in config.thresholds if "lpips" in t.metric]
    if absent and config.lpips_backbone is None and not _lpips_at_hand(metrics):
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
    trainer = Trainer(config, PairStore.open(data, config), run_dir, resume)
    try:
        for report in trainer.epochs():
            if not as_json:
                click.echo(_line(report, config))
    except KeyboardInterrupt:
        click.echo(
            f"stopped; finished epochs are in {run_dir}. The same command with --resume goes on.",
            err=True,
        )
        sys.exit(130)
    _finish(run_dir, trainer.best_checkpoint, as_json)


def _layer(given: dict[str, Any]) -> dict[str, Any]:
    """Flags that were given, as settings."""
    values = {key: value for key, value in given.items() if value is not None}
    schedule: dict[str, Any] = {
        key: values.pop(key) for key in ("lr_scheduler", "lr_scheduler_tmax") if key in values
    }
    defaults = TrainConfig().schedule
    for term in TERMS:
        start, end = values.pop(f"w_{term}", None), values.pop(f"w_{term}_end", None)
        if start is not None:
            schedule[term] = {"start": start}
        if end is not None:
            schedule.setdefault(term, {"start": getattr(defaults, term).start})["end"] = end
    return {**values, "schedule": schedule} if schedule else values


def _lpips_at_hand(metrics: Any) -> bool:
    from uvtex.errors import BackboneMissing

    try:
        metrics.find_backbone(None)
    except BackboneMissing:
        return False
    return True


def _line(report: EpochReport, config: TrainConfig) -> str:
    figures = "  ".join(f"{t.metric} {report.val[t.metric]:.4f} ({t})" for t in config.thresholds)
    return (
        f"epoch {report.epoch}/{config.epochs}  total {report.train['total']:.4f}  {figures}  "
        f"{report.seconds:.1f} s{'  best' if report.best else ''}"
    )


def _finish(run_dir: Path, checkpoint: Path, as_json: bool) -> None:
    from uvtex.report import read_epochs

    best = [report for report in read_epochs(run_dir) if report.best][-1]
    if as_json:
        click.echo(
            json.dumps({"run": str(run_dir), "checkpoint": str(checkpoint), "best": best.to_json()})
        )
        return
    click.echo(f"best epoch {best.epoch}, margin {best.val['margin']:+.3f}\n{checkpoint}")


@main.command()
@click.argument("checkpoints", nargs=-1, required=True)
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Data set folder.")
@DEVICE
@JSON
def evaluate(checkpoints: tuple[str, ...], data: Path, device: str | None, as_json: bool) -> None:
    """Metrics of each CHECKPOINT on the validation side of a data set, a row a checkpoint.

    The table shows the headline metrics; --json holds all of them. The last row is what a texture
    of the true one's mean colour scores: a model below it has learnt nothing of use.

    \b
    Example:
      uvtex evaluate runs/*/checkpoints/best.safetensors --data data/demo
    """
    from uvtex.checkpoint import read_config
    from uvtex.evaluate import evaluate as measure
    from uvtex.evaluate import mean_colour
    from uvtex.infer import locate

    files = {name: locate(name) for name in checkpoints}
    rows = {name: measure(file, data, device or "auto") for name, file in files.items()}
    rows["(a texture of its mean colour)"] = mean_colour(data, read_config(files[checkpoints[0]]))
    if as_json:
        click.echo(json.dumps(rows))
        return
    from rich.console import Console
    from rich.table import Table

    found = {metric for row in rows.values() for metric in row}
    columns = [name for name in HEADLINE if name in found]
    table = Table("checkpoint", *columns)
    for name, row in rows.items():
        table.add_row(name, *(f"{row[c]:.4f}" if c in row else "-" for c in columns))
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    if "lpips_view" not in found:
        click.echo("LPIPS is absent: its backbone is not to be had here (see the README)", err=True)


@main.command()
@click.argument("checkpoint")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Data set folder.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the grids.")
@click.option("--count", type=click.IntRange(min=1), default=12, help="Samples.")
def grid(checkpoint: str, data: Path, out: Path, count: int) -> None:
    """Labelled grids of validation samples: what goes in, what comes out, what is true.

    \b
    Example:
      uvtex grid runs/best/checkpoints/best.safetensors --data data/demo --out grids
    """
    from uvtex.grids import write_grids
    from uvtex.infer import locate

    for file in write_grids(locate(checkpoint), data, out, count):
        click.echo(str(file))


@main.command()
@click.argument("checkpoint")
@click.argument("photos", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for results.")
@DEVICE
def infer(checkpoint: str, photos: tuple[Path, ...], out: Path, device: str | None) -> None:
    """The UV texture of each of PHOTOS, and its reprojection.

    CHECKPOINT is a file, or models:/uvtex@champion for the registered one.

    \b
    Example:
      uvtex infer models:/uvtex@champion photo.jpg --out textures
    """
    from uvtex.infer import infer as run

    for file in run(checkpoint, photos, out, device or "auto"):
        click.echo(str(file))
