import errno
import json
import os
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.sets import make_set, paint, shoot, uv_map
from uvtex.config import TrainConfig
from uvtex.data import imports, manifest, pictures
from uvtex.data.cli import data
from uvtex.data.folders import whole_folder
from uvtex.data.imports import import_set
from uvtex.data.sources.transforms import distance, transform_names
from uvtex.data.store import PairStore
from uvtex.errors import DataError

SIZE = 32


def picture(path: Path, seed: int = 0, camera: int = 0) -> Path:
    """A view of a made-up livery."""
    path.parent.mkdir(parents=True, exist_ok=True)
    texture = paint(np.random.default_rng(seed), SIZE)
    Image.fromarray(shoot(texture, uv_map(camera, 3, SIZE))).save(path)
    return path


def texture(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(paint(np.random.default_rng(seed), SIZE)).save(path)
    return path


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def reasons(report: imports.ImportReport) -> str:
    return "\n".join(f"{item.where}: {item.reason}" for item in report.unusable)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A CSV of two liveries with two views each."""
    folder = tmp_path / "shots"
    lines = ["view,livery,texture"]
    for livery in range(2):
        texture(folder / f"tex/{livery}.png", livery)
        for camera in range(2):
            picture(folder / f"{livery}_{camera}.png", livery, camera)
            lines.append(f"{livery}_{camera}.png,car {livery},tex/{livery}.png")
    (folder / "pairs.csv").write_text("\n".join(lines))
    return folder / "pairs.csv"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """An earlier script's folder: red has its texture, blue only augmented ones."""
    folder = tmp_path / "old"
    texture(folder / "uv/red.png", 1)
    records = []
    steps = [["perspective"], ["noise", "hsv_jitter"], ["affine", "noise"]]
    for livery, seed in (("red", 1), ("blue", 2)):
        for n, transforms in enumerate(steps):
            picture(folder / f"views/{livery}_view_{n}.png", seed * 10 + n, n)
            texture(folder / f"aug/{livery}_uv_{n}.png", seed * 10 + n)
            records.append(record(livery, n, transforms))
    (folder / "metadata.json").write_text(json.dumps(records))
    return folder


def record(livery: str, n: int, transforms: Any) -> dict[str, Any]:
    return {
        "source_uv": f"C:\\Users\\ada\\cars\\{livery}.png",
        "source_view": f"C:\\Users\\ada\\cars\\{livery}_front.png",
        "uv_aug": f"C:\\Users\\ada\\out\\{livery}_uv_{n}.png",
        "view_aug": f"C:\\Users\\ada\\out\\{livery}_view_{n}.png",
        "seed": n,
        "transforms": transforms,
    }


def rewrite(folder: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    path = folder / "metadata.json"
    records = json.loads(path.read_text())
    change(records)
    path.write_text(json.dumps(records))


# What comes out


def test_an_imported_set_can_be_trained_on(table: Path, tmp_path: Path) -> None:
    report = import_set(table, tmp_path / "out")
    assert (report.views, report.liveries, report.unusable) == (4, 2, [])
    config = TrainConfig(image_size=SIZE, val_split=0.5, device="cpu")
    store = PairStore.open(tmp_path / "out", config)
    assert len(store.train) == len(store.val) == 2


def test_our_own_set_comes_through_unchanged(tiny_set: Path, tmp_path: Path) -> None:
    before = snapshot(tiny_set)
    report = import_set(tiny_set, tmp_path / "out")
    assert report.masks == {"given": 18}
    assert snapshot(tiny_set) == before
    config = TrainConfig(image_size=SIZE, val_split=0.34, device="cpu")
    stores = [PairStore.open(folder, config) for folder in (tiny_set, tmp_path / "out")]
    assert stores[0].fingerprint() == stores[1].fingerprint()
    assert stores[1].bank is not None


def test_the_seams_of_a_built_set_come_along(tiny_set: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_set, tmp_path / "set")
    (tmp_path / "set" / manifest.SEAMS).write_bytes(b"seams")
    import_set(tmp_path / "set", tmp_path / "out")
    assert (tmp_path / "out" / manifest.SEAMS).read_bytes() == b"seams"


def test_files_are_copied_whole_and_the_source_stays(table: Path, tmp_path: Path) -> None:
    before = snapshot(table.parent)
    report = import_set(table, tmp_path / "out")
    assert snapshot(table.parent) == before
    assert (report.copied, report.linked) == (6, 0)
    for one in manifest.read(tmp_path / "out").records:
        copied = tmp_path / "out" / one.view
        original = table.parent / copied.name
        assert copied.read_bytes() == original.read_bytes()
        assert not copied.samefile(original)


def test_links_share_the_file_and_fall_back_to_copies(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = import_set(table, tmp_path / "linked", link=True)
    assert (report.copied, report.linked) == (0, 6)
    view = manifest.read(tmp_path / "linked").records[0].view
    assert (tmp_path / "linked" / view).samefile(table.parent / "0_0.png")

    def refuse(*_: Any) -> None:
        raise OSError(errno.EXDEV, "other file system")

    monkeypatch.setattr(os, "link", refuse)
    report = import_set(table, tmp_path / "copied", link=True)
    assert (report.copied, report.linked) == (6, 0)


def test_files_of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    lines = ["view,livery,texture"]
    for livery, folder in enumerate(("a", "b", "A b", "a_b")):
        picture(tmp_path / f"{folder}/front.png", livery)
        texture(tmp_path / f"{folder}/skin.png", livery)
        lines.append(f"{folder}/front.png,{folder.replace(' ', '/')},{folder}/skin.png")
    (tmp_path / "x.csv").write_text("\n".join(lines))
    import_set(tmp_path / "x.csv", tmp_path / "out")
    records = manifest.read(tmp_path / "out").records
    for field in ("view", "texture", "mask"):
        assert len({getattr(r, field).lower() for r in records}) == 4
    for livery, one in enumerate(records):
        got = pictures.read_rgb(tmp_path / "out" / one.texture)
        assert np.array_equal(got, paint(np.random.default_rng(livery), SIZE))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=6, unique=True))
def test_any_name_of_a_livery_stays_in_the_folder(names: list[str]) -> None:
    report = imports.ImportReport("csv", "", "")
    folder = Path("set")
    builder = imports._Builder(folder, False, "auto", report, lambda done, total: None)
    places = [
        builder._free(f"views/{imports._safe(name)}/{imports._safe(name)}", ".png")
        for name in names
    ]
    assert len({place.lower() for place in places}) == len(names)
    for place in places:
        assert Path(os.path.normpath(folder / place)).parts[:2] == ("set", "views")
        assert len(place.encode()) < 1000


def test_a_view_used_twice_is_taken_once(table: Path, tmp_path: Path) -> None:
    table.write_text(table.read_text() + "\n0_0.png,car 1,tex/1.png")
    report = import_set(table, tmp_path / "out")
    assert report.views == 4
    assert "line 6: its view is that of line 2" in reasons(report)


# CSV


@pytest.mark.parametrize("form", ["semicolon", "bom", "spaces and case", "backslashes"])
def test_a_csv_as_spreadsheets_write_it(table: Path, tmp_path: Path, form: str) -> None:
    text = table.read_text()
    changed = {
        "semicolon": text.replace(",", ";"),
        "bom": "\ufeff" + text,
        "spaces and case": text.replace("view,livery,texture", " View, LIVERY ,Texture"),
        "backslashes": text.replace("tex/", "tex\\"),
    }[form]
    table.write_text(changed, encoding="utf-8")
    assert import_set(table, tmp_path / "out").views == 4


def test_a_csv_with_masks_and_cameras(table: Path, tmp_path: Path) -> None:
    Image.new("L", (SIZE, SIZE), 255).save(table.parent / "m.png")
    lines = table.read_text().splitlines()
    rows = [f"{line},{'m.png' if n == 0 else ''},front" for n, line in enumerate(lines[1:])]
    table.write_text("\n".join([f"{lines[0]},mask,camera", *rows]))
    report = import_set(table, tmp_path / "out")
    assert report.masks["given"] == 1
    assert {r.camera for r in manifest.read(tmp_path / "out").records} == {"front"}


# The earlier script's folder


def test_an_earlier_scripts_folder_is_found_by_file_names(old: Path, tmp_path: Path) -> None:
    report = import_set(old, tmp_path / "out")
    assert (report.views, report.liveries, report.unusable) == (6, 2, [])
    records = manifest.read(tmp_path / "out").records
    assert {r.livery for r in records} == {"red", "blue"}
    textures = {r.livery: tmp_path / "out" / r.texture for r in records}
    assert textures["red"].read_bytes() == (old / "uv/red.png").read_bytes()
    assert {Path(r.view).name for r in records} == {p.name for p in (old / "views").iterdir()}


def test_the_least_transformed_texture_stands_in_and_is_named(old: Path, tmp_path: Path) -> None:
    report = import_set(old, tmp_path / "out")
    (stand_in,) = report.stand_ins
    assert (stand_in.livery, stand_in.missing) == ("blue", "blue.png")
    assert stand_in.texture.name == "blue_uv_1.png"
    assert stand_in.transforms == ("noise", "hsv_jitter")
    blue = next(r for r in manifest.read(tmp_path / "out").records if r.livery == "blue")
    assert (tmp_path / "out" / blue.texture).read_bytes() == (
        old / "aug/blue_uv_1.png"
    ).read_bytes()
    saved = json.loads((tmp_path / "out/import.json").read_text())
    assert saved["stand_ins"][0]["livery"] == "blue"


@pytest.mark.parametrize(
    ("best", "others"),
    [
        ([], [["noise"], ["hsv_jitter"]]),
        (["hsv_jitter", "noise", "filter"], [["affine"], ["perspective"]]),
        (["affine", "noise"], [["perspective"], ["affine", "perspective"]]),
        (["filter"], [["noise", "filter"], ["warp_by_other_script"]]),
    ],
)
def test_geometry_is_the_worst(best: list[str], others: list[list[str]]) -> None:
    assert all(distance(best) < distance(other) for other in others)


@pytest.mark.parametrize(
    "written",
    [
        ["noise", "affine"],
        "noise, affine",
        [{"name": "noise", "sigma": 3}, {"type": "affine"}],
        {"noise": {"sigma": 3}, "affine": True, "filter": False, "perspective": None},
    ],
)
def test_transforms_are_read_however_they_are_written(written: Any) -> None:
    assert transform_names(written) == ("noise", "affine")


def test_an_ambiguous_name_is_reported_unless_folders_decide(old: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        picture(old / folder / "red_view_0.png", 90 + ord(folder))
    (old / "views/red_view_0.png").unlink()
    report = import_set(old, tmp_path / "one")
    assert report.views == 5
    assert "red_view_0.png is ambiguous: a/red_view_0.png, b/red_view_0.png" in reasons(report)

    def name_folder(records: list[dict[str, Any]]) -> None:
        records[0]["view_aug"] = "D:\\x\\B\\red_view_0.png"

    rewrite(old, name_folder)
    assert import_set(old, tmp_path / "two").views == 6


def test_equal_copies_are_not_ambiguous(old: Path, tmp_path: Path) -> None:
    (old / "backup").mkdir()
    shutil.copy(old / "views/red_view_0.png", old / "backup")
    assert import_set(old, tmp_path / "out").views == 6


def test_two_liveries_of_one_name_are_refused_both(old: Path, tmp_path: Path) -> None:
    texture(old / "b/red.png", 77)
    (old / "a").mkdir()
    (old / "uv/red.png").rename(old / "a/red.png")

    def part(records: list[dict[str, Any]]) -> None:
        for n, one in enumerate(records[:3]):
            one["source_uv"] = f"C:\\{'a' if n else 'b'}\\red.png"

    rewrite(old, part)
    report = import_set(old, tmp_path / "out")
    assert report.liveries == 1
    assert len(report.unusable) == 3
    assert "two liveries are named 'red'" in reasons(report)


def test_records_that_cannot_be_used_are_listed_with_their_reason(
    old: Path, tmp_path: Path
) -> None:
    (old / "views/red_view_1.png").unlink()
    (old / "views/red_view_2.png").write_bytes(b"")
    rewrite(old, lambda records: records.append({"view_aug": "x.png"}))
    rewrite(old, lambda records: records.append("nonsense"))  # type: ignore[arg-type]
    report = import_set(old, tmp_path / "out")
    assert report.views == 4
    said = reasons(report)
    assert "record 1: view_aug red_view_1.png is not beside the metadata" in said
    assert "record 2: view" in said
    assert "the file is empty" in said
    assert "record 6: source_uv" in said
    assert "record 7: " in said


def test_a_livery_without_any_texture_is_not_used(old: Path, tmp_path: Path) -> None:
    for path in (old / "aug").glob("blue*"):
        path.unlink()
    report = import_set(old, tmp_path / "out")
    assert report.liveries == 1
    assert "blue.png is not beside the metadata, nor is any uv_aug of it" in reasons(report)
    assert not report.stand_ins


# Bad input


def png16(path: Path, values: np.ndarray, colour_type: int) -> Path:
    """A 16-bit PNG, uint16 [H, W, C], which Pillow cannot write itself."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    return path


@settings(deadline=None, max_examples=25)
@given(
    level=st.integers(0, 65535),
    kind=st.sampled_from([(0, 1), (2, 3), (4, 2), (6, 4)]),
    data=st.data(),
)
def test_sixteen_bits_are_scaled_not_clipped(
    tmp_path_factory: pytest.TempPathFactory, level: int, kind: tuple[int, int], data: Any
) -> None:
    colour_type, channels = kind
    values = np.full((4, 5, channels), level, np.uint16)
    if channels in (2, 4):
        values[..., -1] = 65535
    path = png16(tmp_path_factory.mktemp("deep") / "x.png", values, colour_type)
    assert np.abs(pictures.read_rgb(path).astype(float) - level / 257).max() <= 1
    assert np.abs(pictures.read_grey(path).astype(float) - level / 257).max() <= 1
    assert "16 bits a channel" in pictures.describe(path).oddities


@pytest.mark.parametrize("mode", ["I;16", "I"])
def test_sixteen_bit_tiffs_are_scaled(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (4, 4), 30000).save(tmp_path / "x.tif")
    assert np.unique(pictures.read_rgb(tmp_path / "x.tif")) == [117]


@pytest.mark.parametrize(("mode", "value"), [("F", 0.5), ("I", 70000), ("I", -1)])
def test_depths_that_cannot_be_scaled_are_refused(tmp_path: Path, mode: str, value: float) -> None:
    Image.new(mode, (4, 4), value).save(tmp_path / "x.tif")
    with pytest.raises(DataError, match="save it with 8 or 16"):
        pictures.read_rgb(tmp_path / "x.tif")


def test_an_exif_rotation_that_is_no_number_is_none(tmp_path: Path) -> None:
    one_tag = struct.pack("<HHHI4sI", 1, 0x0112, 2, 4, b"abc\0", 0)  # text, not a number
    exif = b"Exif\0\0II*\0" + struct.pack("<I", 8) + one_tag
    Image.new("RGB", (20, 10)).save(tmp_path / "x.jpg", exif=exif)
    with Image.open(tmp_path / "x.jpg") as file:
        assert file.getexif()[0x0112] == "abc"
    assert pictures.describe(tmp_path / "x.jpg").orientation == 1
    assert pictures.read_rgb(tmp_path / "x.jpg").shape == (10, 20, 3)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-60])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (truncated, "not a readable picture"),
        (lambda p: p.write_bytes(b""), "the file is empty"),
        (lambda p: p.write_bytes(b"no picture"), "no known picture format"),
        (lambda p: Image.new("RGB", (1, 1)).save(p), "1x1 pixels; at least 16"),
        (lambda p: Image.new("1", (20000, 20000)).save(p), "pixels; scale it down first"),
    ],
    ids=["truncated", "zero bytes", "text", "1x1", "bomb"],
)
@pytest.mark.parametrize("which", ["0_0.png", "tex/0.png"])
def test_a_broken_picture_is_left_out_and_named(
    table: Path, tmp_path: Path, spoil: Callable[[Path], None], says: str, which: str
) -> None:
    spoil(table.parent / which)
    report = import_set(table, tmp_path / "out")
    assert report.views == (3 if which == "0_0.png" else 2)
    assert says in reasons(report)
    assert which in reasons(report)


def test_a_broken_file_is_called_what_each_record_uses_it_for(table: Path, tmp_path: Path) -> None:
    (table.parent / "0_0.png").write_bytes(b"")
    table.write_text(table.read_text() + "\n1_1.png,car 2,0_0.png\n0_1.png,car 3,0_1.png")
    (table.parent / "tex/1.png").unlink()
    said = reasons(import_set(table, tmp_path / "out"))
    assert f"line 2: view {table.parent}/0_0.png: not a readable" in said
    assert f"line 6: texture {table.parent}/0_0.png: not a readable" in said


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1", "I;16"])
def test_every_kind_of_picture_is_taken(table: Path, tmp_path: Path, mode: str) -> None:
    path = table.parent / ("0_0.tif" if mode == "CMYK" else "0_0.png")
    source = Image.open(table.parent / "0_0.png")
    grey = np.asarray(source.convert("L"), np.uint16) * 257
    (Image.fromarray(grey) if mode == "I;16" else source.convert(mode)).save(path)
    table.write_text(table.read_text().replace("0_0.png", path.name))
    assert import_set(table, tmp_path / "out").views == 4


def test_the_mask_of_a_rotated_picture_is_upright(table: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = Image.new("RGB", (60, 40), (140, 140, 140))
    lying.paste((200, 20, 20), (10, 10, 50, 30))
    lying.save(table.parent / "0_0.jpg", exif=exif)
    table.write_text(table.read_text().replace("0_0.png", "0_0.jpg"))
    import_set(table, tmp_path / "out")
    one = manifest.read(tmp_path / "out").records[0]
    assert pictures.read_grey(tmp_path / "out" / str(one.mask)).shape == (60, 40)
    assert pictures.read_rgb(tmp_path / "out" / one.view).shape == (60, 40, 3)


def test_a_broken_mask_or_uv_map_is_replaced_or_left_off(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "set", liveries=2, cameras=2)
    (folder / "masks/0.png").write_bytes(b"")
    Image.new("L", (SIZE, SIZE)).save(folder / "masks/1.png")
    (folder / "uv_maps/0.npz").write_bytes(b"PK")
    report = import_set(folder, tmp_path / "out")
    assert report.views == 4
    assert "given" not in report.masks
    assert reasons(report).count("is used without it") == 6
    assert "marks no pixel as paint" in reasons(report)
    assert sum(r.uv_map is not None for r in manifest.read(tmp_path / "out").records) == 2


@pytest.mark.parametrize("path", ["../secret.png", "/etc/hostname", "views/../../secret.png"])
def test_a_manifest_that_climbs_out_is_not_followed(tmp_path: Path, path: str) -> None:
    folder = make_set(tmp_path / "set", liveries=2, cameras=1)
    picture(tmp_path / "secret.png")
    values = json.loads((folder / "manifest.json").read_text())
    values["records"][0]["view"] = path
    (folder / "manifest.json").write_text(json.dumps(values))
    report = import_set(folder, tmp_path / "out")
    assert report.views == 1
    assert "leaves the data set's folder" in reasons(report)
    assert not any("secret" in name for name in snapshot(tmp_path / "out"))


def empty(folder: Path) -> Path:
    (folder / "nothing").mkdir()
    return folder / "nothing"


def written(name: str, text: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_text(text, encoding="latin-1")
        return folder / name

    return make


def two_formats(folder: Path) -> Path:
    for name in ("a.csv", "b.csv"):
        written(name, "")(folder)
    return folder


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda d: d / "none", "no such file or folder"),
        (empty, "the folder is empty; what can be imported is"),
        (lambda d: written("x.txt", "")(d).parent, "nothing to import there"),
        (written("x.txt", ""), "cannot be imported"),
        (two_formats, "holds a.csv, b.csv; name the one"),
        (written("x.csv", ""), "no column view, livery, texture"),
        (written("x.csv", "view,livery\n1,2"), "no column texture"),
        (written("x.csv", "view,livery,texture"), "it has no records"),
        (written("x.csv", "view,livery,texture\na.png,b,c.png"), "line 2: view a.png is missing"),
        (written("x.csv", 'view,livery,texture\n"a.png,b'), "cannot be read as CSV"),
        (written("x.csv", "view,livery,texture\n\xe9,b,c"), "as UTF-8"),
        (written("metadata.json", "{"), "as JSON"),
        (written("metadata.json", "[" * 100000), "as JSON"),
        (written("metadata.json", "[" + "9" * 5000 + "]"), "as JSON"),
        (written("metadata.json", "{}"), "must be a list of records"),
        (written("manifest.json", "{}"), "records: must be a list"),
        (written("manifest.json", '{"records": [{}]}'), "record 0: view: Field required"),
        (written("manifest.json", '{"version": 9, "records": []}'), "version 9"),
    ],
)
def test_a_source_that_gives_nothing_is_refused(
    tmp_path: Path, make: Callable[[Path], Path], says: str
) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(DataError, match=says):
        import_set(make(tmp_path / "in"), tmp_path / "new/out")
    assert not (tmp_path / "new").exists()


# All or nothing


@pytest.mark.parametrize("kind", ["folder", "empty folder", "file", "dangling link"])
def test_what_is_there_already_is_refused(table: Path, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    if kind == "file":
        out.write_text("mine")
    elif kind == "dangling link":
        out.symlink_to(tmp_path / "nowhere")
    else:
        out.mkdir()
        if kind == "folder":
            (out / "mine").write_text("mine")
    with pytest.raises(DataError, match="is there already"):
        import_set(table, out)
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("where", "code"),
    [
        ("shutil.copyfile", errno.ENOSPC),
        ("PIL.Image.Image.save", errno.ENOSPC),
        ("tempfile.mkdtemp", errno.EROFS),
        ("os.replace", errno.ENOSPC),
        ("os.fsync", errno.EIO),
    ],
)
def test_a_full_or_read_only_disk_leaves_nothing(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, code: int
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    before = snapshot(tmp_path)
    monkeypatch.setattr(where, fail)
    with pytest.raises(Exception, match=f"cannot be written: {os.strerror(code)}"):
        import_set(table, tmp_path / "new/deep/out")
    assert snapshot(tmp_path) == before
    assert not (tmp_path / "new").exists()


def test_ctrl_c_leaves_nothing(table: Path, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_set(table, tmp_path / "new/out", progress=interrupt)
    assert not (tmp_path / "new").exists()


def test_a_target_below_a_file_is_refused(table: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="Not a directory"):
        import_set(table, tmp_path / "file/out")


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
def test_a_file_system_that_refuses_to_grow(table: Path, tmp_path: Path) -> None:
    """The kernel itself refuses a write, half way through a file."""
    code = (
        "import resource, sys\n"
        "from uvtex.data.cli import data\n"
        "from uvtex.console import Group\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700))\n"
        "group = Group(commands={'data': data})\n"
        "group.main(['data', 'import', *sys.argv[1:]])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(table), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "cannot be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("*out*"))


def test_a_folder_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    def fill() -> None:
        with whole_folder(tmp_path / "out") as folder:
            (folder / "ours").touch()
            (tmp_path / "out").mkdir()

    with pytest.raises(DataError, match="is there already"):
        fill()
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert not list((tmp_path / "out").iterdir())


# The command


def test_the_command_says_what_it_did(old: Path, tmp_path: Path) -> None:
    (old / "views/red_view_1.png").unlink()
    result = CliRunner().invoke(data, ["import", str(old), str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "5 views of 2 liveries" in result.output
    assert "blue: blue_uv_1.png (noise, hsv_jitter) for blue.png" in result.output
    assert "not used (1):\n  record 1: view_aug red_view_1.png is not beside" in result.output


def test_the_commands_json_lists_everything(old: Path, tmp_path: Path) -> None:
    (old / "views/red_view_1.png").unlink()
    result = CliRunner().invoke(data, ["import", str(old), str(tmp_path / "out"), "--json"])
    values = json.loads(result.output)
    assert (values["kind"], values["views"], values["liveries"]) == ("metadata", 5, 2)
    assert values["unusable"][0]["where"] == "record 1"
    assert values["stand_ins"][0]["texture"].endswith("blue_uv_1.png")
    assert sum(values["masks"].values()) == 5
    assert values == json.loads((tmp_path / "out/import.json").read_text())
