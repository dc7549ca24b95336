"""The data set of a study: rendered if it is missing, and what a texture of one colour scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

from sweep.study.config import StudyConfig
from sweep.study.search.settings import Choices
from uvtex.data.found_maps import other_stiffness
from uvtex.errors import ConfigError, UvtexError

STIFFNESS = "map_stiffness"


def is_built(study: StudyConfig) -> bool:
    """Whether the data set is there.

    Raises:
        ConfigError: runs are to learn from found UV maps, and the set is one to render.
        DataError: it lacks UV maps that runs are to learn from.
    """
    there = (study.data.path / "manifest.json").is_file()
    searched = study.search.space.get(STIFFNESS)
    wanted = searched.choices if isinstance(searched, Choices) else [study.train.get(STIFFNESS)]
    for stiffness in wanted:
        if stiffness is None:
            continue
        if study.data.showroom is not None:
            raise ConfigError(
                f"{STIFFNESS}: a set of data.showroom has no found UV maps to choose from; leave "
                f"out {STIFFNESS}, or leave out data.showroom and give data.path a set that "
                "`uvtex data maps` made"
            )
        if there:
            other_stiffness(study.data.path, float(stiffness))
    return there


def build_data(study: StudyConfig, out: TextIO) -> None:
    """Renders the study's showroom set, unless the folder holds the same set already.

    Raises:
        ConfigError: there is no data set, and the study has no showroom settings.
        DataError: the folder holds a set with other settings.
    """
    folder = study.data.path
    if study.data.showroom is None:
        if (folder / "manifest.json").is_file():
            return
        raise ConfigError(
            f"data.path: {folder} holds no manifest.json; give the path of a data set, or "
            "set data.showroom to render one"
        )
    from uvtex.settings import validate
    from uvtex.showroom.build import build
    from uvtex.showroom.settings import ShowroomSettings

    settings = validate(ShowroomSettings, study.data.showroom, "data.showroom")
    print(f"showroom set: {folder}", file=out, flush=True)
    build(settings, folder, say=lambda line: print(f"  {line}", file=out, flush=True))


def measured_mean_colours(
    study: StudyConfig, note: Callable[[str], None]
) -> dict[str, dict[str, float]]:
    """Metrics of a texture of one colour, by the summary's fields for them.

    Empty, after a note, if they cannot be measured.
    """
    from uvtex.config import resolve
    from uvtex.evaluation.measure import mean_colour

    config = resolve(study.train)
    try:
        found = {"mean_colour": mean_colour(study.data.path, config)}
        if config.test_split > 0:
            found["mean_colour_test"] = mean_colour(study.data.path, config, "test")
    except UvtexError as error:
        note(f"no figures for the mean colour: {error}")
        return {}
    return found
