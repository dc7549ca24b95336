"""The strict and the lenient reader of a manifest accept the same records."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sets import make_set
from uvtex.config import TrainConfig
from uvtex.data import manifest
from uvtex.data.store import PairStore
from uvtex.errors import DataError
from uvtex.intake.importer import import_set
from uvtex.intake.sources import lenient

PATHS = {
    "view": ("views/a.png", "views/none.png"),
    "texture": ("textures/a.png", "textures/none.png"),
    "mask": (None, "masks/a.png", "masks/none.png"),
    "uv_map": (None, "uv_maps/a.npz", "uv_maps/none.npz"),
    "plate": (None, "plates/a.npz", "plates/none.npz"),
}
ODD = (
    *("", ".", "..", "views", "views/", "views/..", "/etc/hostname", "../secret.png"),
    *("../set/views/a.png", "views/../views/a.png", "no/such/folder.png", "views/a.png/b"),
    *("out/secret.png", "link.png", "loop.png", "loop/a.png", "inner.png", "a\0b"),
    *("x" * 5000, "x" * 300 + "/a.png", "x" * 300 + "/"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file of each kind, links that lead out of the folder, a loop, and one link inside."""
    above = tmp_path_factory.mktemp("above")
    (above / "secret.png").touch()
    folder = above / "set"
    for options in PATHS.values():
        path = folder / str(next(option for option in options if option is not None))
        path.parent.mkdir(parents=True)
        path.touch()
    (folder / "out").symlink_to(above)
    (folder / "link.png").symlink_to(above / "secret.png")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "loop").symlink_to("loop")
    (folder / "inner.png").symlink_to("views/a.png")
    return folder


def write_manifest(folder: Path, *records: dict[str, Any]) -> Path:
    path = folder / "manifest.json"
    path.write_text(json.dumps({"records": records}))
    return path


def refusals(folder: Path, record: dict[str, Any]) -> tuple[str | None, str | None]:
    """The errors of the strict and of the lenient reader for a single record; None without one."""
    path = write_manifest(folder, record)
    _, refused = lenient(path)
    lenient_error = refused[0].reason if refused else None
    try:
        manifest.read(folder)
    except DataError as error:
        return str(error).removeprefix(f"{path}: record 0: "), lenient_error
    return None, lenient_error


def records() -> st.SearchStrategy[dict[str, Any]]:
    paths = {
        field: st.sampled_from(options) | st.sampled_from(ODD) for field, options in PATHS.items()
    }
    return st.fixed_dictionaries({"livery": st.just("red"), **paths})


@given(record=records())
def test_both_readers_agree_on_a_record(folder: Path, record: dict[str, Any]) -> None:
    strict_error, lenient_error = refusals(folder, record)
    assert strict_error == lenient_error


def whole(**changes: str | None) -> dict[str, Any]:
    return {"view": "views/a.png", "livery": "red", "texture": "textures/a.png", **changes}


def variants() -> Iterator[tuple[dict[str, Any], bool]]:
    """Records, and whether they can be used."""
    for view in PATHS["view"]:
        for uv_map in PATHS["uv_map"][:2]:
            for plate in PATHS["plate"][:2]:
                there = view == "views/a.png"
                usable = there or (uv_map is not None and plate is not None)
                yield whole(view=view, uv_map=uv_map, plate=plate), usable
    for field, options in PATHS.items():
        yield whole(**{field: options[-1]}), False
        yield whole(**{field: "../secret.png"}), False


@pytest.mark.parametrize(("record", "usable"), list(variants()))
def test_only_a_view_with_plate_and_uv_map_may_be_absent(
    folder: Path, record: dict[str, Any], usable: bool
) -> None:
    strict_error, lenient_error = refusals(folder, record)
    assert (strict_error is None, lenient_error is None) == (usable, usable)


@pytest.mark.parametrize("path", ODD)
def test_a_composed_view_must_still_have_a_path_inside_the_folder(folder: Path, path: str) -> None:
    record = whole(view=path, uv_map="uv_maps/a.npz", plate="plates/a.npz")
    strict_error, lenient_error = refusals(folder, record)
    assert strict_error == lenient_error
    if strict_error is None:  # then the path can be resolved, and its file looked for
        assert Path(os.path.realpath(folder / path)).is_relative_to(folder.resolve())
        assert isinstance((folder / path).is_file(), bool)


def test_an_absent_view_of_one_record_is_still_missing_in_the_next(folder: Path) -> None:
    """The second record has the view path of the first, but no plate to compose the view from."""
    both = {"uv_map": "uv_maps/a.npz", "plate": "plates/a.npz"}
    path = write_manifest(
        folder, whole(view="views/none.png", **both), whole(view="views/none.png")
    )
    good, refused = lenient(path)
    assert ([where for where, _ in good], [r.where for r in refused]) == (
        ["record 0"],
        ["record 1"],
    )
    with pytest.raises(DataError, match=r"record 1: view views/none\.png is missing"):
        manifest.read(folder)


def test_plates_without_views_and_uv_maps_are_refused_and_the_missing_field_named(
    tmp_path: Path,
) -> None:
    folder = make_set(tmp_path / "set")
    values = json.loads((folder / "manifest.json").read_text())
    (folder / "plate.npz").touch()
    for record in values["records"]:
        (folder / record["view"]).unlink(missing_ok=True)
        record.pop("uv_map")
        record["plate"] = "plate.npz"
    write_manifest(folder, *values["records"])
    says = "record 0: view views/0_0.png is missing .* has a plate but no uv_map; give the record"
    with pytest.raises(DataError, match=says):
        PairStore.open(folder, TrainConfig(image_size=32, device="cpu"))
    with pytest.raises(DataError, match=says):
        import_set(folder, tmp_path / "out")
