"""``uvtex showroom``: renders data sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from uvtex.console import PATH, CleanErrorGroup, with_default
from uvtex.output import echo
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


@click.group(cls=CleanErrorGroup)
def showroom() -> None:
    """Render data sets of a race car in many liveries.

    \b
    Example:
      uvtex showroom build data/demo --size 64 --cameras 12 --liveries 60
    """


@showroom.command("build")
@click.argument("out", type=PATH)
@_flag("--size", int, "Side of the views, in pixels")
@click.option(
    "--texture-size", type=int, help="Side of the textures, in pixels; --size by default."
)
@_flag("--cameras", int, "Number of cameras around the car")
@click.option(
    "--camera-file",
    type=PATH,
    help="JSON file of camera poses, see above; by default --cameras places them.",
)
@click.option(
    "--liveries",
    metavar="N|DIR",
    help=with_default("Number of procedural liveries, or a folder of textures", DEFAULTS.liveries),
)
@click.option(
    "--template",
    type=PATH,
    metavar="PNG|DIR",
    help="Unpainted parts of the texture, laid over procedural liveries, see above; none by "
    "default.",
)
@_flag("--samples", int, "Light paths traced for a pixel")
@_flag("--supersample", int, "UV samples along each side of a pixel")
@click.option(
    "--no-views",
    is_flag=True,
    help="Write plates and textures only: the set is much smaller, and each view is composed when "
    "it is read.",
)
@click.option(
    "--no-maps",
    is_flag=True,
    help="Make a set as of photos: its records name no UV map and no plate. `uvtex data maps` "
    "finds the maps again.",
)
@_flag("--seed", int, "Random seed of liveries, cameras and light paths")
@click.option(
    "--car",
    "file",
    type=PATH,
    metavar="FILE",
    help="OBJ, GLB or glTF file of your car; the built-in car by default.",
)
@click.option(
    "--paint-material",
    help="Name of the car's material that carries the livery; by default it is chosen "
    "automatically.",
)
@_car_choice("--up", "Axis that points up in the car's file")
@_car_choice("--nose", "Axis that the car's nose points along in its file")
@click.option(
    "--unwrap",
    is_flag=True,
    default=None,
    help="Make new UV coordinates for the paint; by default those of the car's file are used.",
)
def showroom_build(out: Path, no_views: bool, no_maps: bool, **given: Any) -> None:
    """Render a race car in many liveries, from cameras all around it, into the folder OUT.

    The car is the built-in one or your own. The liveries are procedural or your own. Train on many
    procedural liveries of your car, and evaluate on your own liveries. Two sets of one car with the
    same --cameras, --size and --seed have the same plates. To continue an interrupted build, run
    the same command again.

    A camera file is a JSON list of poses. Positions are in metres from the middle of the car on the
    floor: x points forward, y to the car's left, z up. fov is in degrees.

    \b
      [{"name": "front", "eye": [7, 1.5, 1.2], "target": [0, 0, 0.5], "fov": 35}]

    A template holds the parts of the car's texture that no livery paints: glass, lamps, the
    interior. It is a PNG that is transparent where liveries are painted, or a folder of your
    liveries. From a folder, the template is every texel that is the same in all of them. Leave out
    the liveries you will evaluate on, or their scores will be too good.

    \b
    Example:
      uvtex showroom build data/demo --size 64 --cameras 12 --liveries 60
      uvtex showroom build data/mine --car car.glb --liveries liveries/ --texture-size 1024
      uvtex showroom build data/many --car car.glb --liveries 400 --template liveries/ \\
          --texture-size 1024
    """
    from uvtex.progress import stages
    from uvtex.settings import load_yaml, validate
    from uvtex.showroom.build import build

    values = _showroom_values(given) | ({"views": False} if no_views else {})
    values |= {"maps": False} if no_maps else {}
    settings = validate(ShowroomSettings, values, where="showroom")
    with stages() as (say, progress):
        manifest = build(settings, out, say, progress)
    built = validate(ShowroomSettings, load_yaml(out / "showroom.yaml"), where="showroom.yaml")
    echo(
        f"{manifest.parent}: {built.cameras * built.liveries} views of "
        f"{built.liveries} liveries from {built.cameras} cameras"
        f"{', each composed when it is read' if no_views else ''}"
    )


def _showroom_values(given: dict[str, Any]) -> dict[str, Any]:
    """The given flags under the names that :class:`ShowroomSettings` has for them.

    Raises:
        ConfigError: flags that exclude each other, or flags of a car without --car.
    """
    from uvtex.errors import ConfigError
    from uvtex.showroom.settings import read_poses

    values: dict[str, Any] = {
        key: str(value) if isinstance(value, Path) and key != "camera_file" else value
        for key, value in given.items()
        if value is not None
    }
    if "size" in values:
        values.setdefault("texture_size", values["size"])
    if "camera_file" in values:
        if "cameras" in values:
            raise ConfigError("showroom: give either --cameras or --camera-file, not both")
        values["poses"] = read_poses(values.pop("camera_file"))
    liveries = values.pop("liveries", None)
    if liveries is not None:
        count = liveries.removeprefix("-").isdecimal()
        values["liveries" if count else "livery_dir"] = (
            int(liveries) if count else str(PATH.convert(liveries, None, None))
        )
    about_car = ("file", "paint_material", "up", "nose", "unwrap")
    car = {key: values.pop(key) for key in about_car if key in values}
    if car and "file" not in car:
        flags = ", ".join(f"--{key.replace('_', '-')}" for key in car)
        raise ConfigError(f"showroom: {flags}: needs --car FILE")
    return {**values, "car": car} if car else values
