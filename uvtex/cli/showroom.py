"""``uvtex showroom``: rendered data sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from uvtex.console import with_default
from uvtex.showroom.settings import CarSettings, ShowroomSettings

F = TypeVar("F", bound=Callable[..., Any])
DEFAULTS = ShowroomSettings()


def _flag(flag: str, kind: type, what: str) -> Callable[[F], F]:
    setting = flag.removeprefix("--").replace("-", "_")
    return click.option(flag, type=kind, help=with_default(what, getattr(DEFAULTS, setting)))


def _car_choice(flag: str, what: str) -> Callable[[F], F]:
    field = CarSettings.model_fields[flag.removeprefix("--")]
    values = [v for part in get_args(field.annotation) for v in get_args(part) or (part,)]
    return click.option(flag, type=click.Choice(values), help=with_default(what, field.default))


@click.group()
def showroom() -> None:
    """Rendered data sets."""


@showroom.command("build")
@click.argument("out", type=click.Path(path_type=Path))
@_flag("--size", int, "Side of the views, in pixels")
@click.option("--texture-size", type=int, help="Side of the textures; the views' by default.")
@_flag("--cameras", int, "Cameras around the car")
@click.option("--camera-file", type=click.Path(path_type=Path), help="JSON poses, as above.")
@click.option(
    "--liveries",
    metavar="N|DIR",
    help=with_default("Procedural liveries, or a folder of textures", DEFAULTS.liveries),
)
@click.option(
    "--template", metavar="PNG|DIR", help="What procedural liveries leave unpainted, as below."
)
@_flag("--samples", int, "Light paths a pixel")
@_flag("--supersample", int, "UV samples along a pixel's side")
@click.option("--no-views", is_flag=True, help="Plates and textures only: much smaller on disk.")
@_flag("--seed", int, "Of liveries, cameras and light paths")
@click.option("--car", "file", help="OBJ or GLB; the built-in car by default.")
@click.option("--paint-material", help="The car's material that carries the livery.")
@_car_choice("--up", "The axis that points up in the car's file")
@_car_choice("--nose", "Where the nose points in the car's file")
@click.option("--unwrap", is_flag=True, default=None, help="Give the paint new UVs.")
def showroom_build(out: Path, no_views: bool, **given: Any) -> None:
    """Render a race car in liveries from cameras all around into OUT.

    The car is the built-in one or yours, the liveries are procedural or yours: train on many
    procedural ones of your car, evaluate on your own. With the same --cameras, --size and --seed
    both sets have the same plates. An interrupted build goes on where it stopped.

    \b
    A camera file is a JSON list of poses; x points forward, y to the car's left,
    z up, metres, from the middle of the car on the floor; fov in degrees:
      [{"name": "front", "eye": [7, 1.5, 1.2], "target": [0, 0, 0.5], "fov": 35}]

    A template is what the car's atlas holds beside paint: glass, lamps, the interior. It lies over
    procedural liveries, so that they have what yours have: a PNG that is transparent where liveries
    are painted, or a folder of your liveries, of which it is what all have alike; leave those out
    that you mean to evaluate on.

    \b
    Example:
      uvtex showroom build data/demo --size 64 --cameras 12 --liveries 60
      uvtex showroom build data/mine --car car.glb --liveries liveries/ --texture-size 1024
      uvtex showroom build data/many --car car.glb --liveries 400 --template liveries/ \\
          --texture-size 1024
    """
    from uvtex.config import load_yaml, validate
    from uvtex.progress import stages
    from uvtex.showroom.build import build

    values = _showroom_values(given) | ({"views": False} if no_views else {})
    settings = validate(ShowroomSettings, values, where="showroom")
    with stages() as (tell, stage):
        manifest = build(settings, out, tell, stage)
    built = validate(ShowroomSettings, load_yaml(out / "showroom.yaml"), where="showroom.yaml")
    click.echo(
        f"{manifest.parent}: {built.cameras * built.liveries} views of "
        f"{built.liveries} liveries from {built.cameras} cameras"
        f"{', composed when they are read' if no_views else ''}"
    )


def _showroom_values(given: dict[str, Any]) -> dict[str, Any]:
    """The flags as ShowroomSettings wants them."""
    from uvtex.errors import ConfigError
    from uvtex.showroom.settings import read_poses

    values = {key: value for key, value in given.items() if value is not None}
    if "size" in values:
        values.setdefault("texture_size", values["size"])
    if "camera_file" in values:
        if "cameras" in values:
            raise ConfigError("showroom: --cameras and --camera-file exclude each other")
        values["poses"] = read_poses(values.pop("camera_file"))
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
