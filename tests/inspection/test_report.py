import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.inspection.conftest import change
from tests.sets import make_set, uv_map
from uvtex.cli.data import data
from uvtex.config import NEW_TEST_SPLIT, TrainConfig
from uvtex.data import manifest, pictures
from uvtex.errors import DataError
from uvtex.imaging import uv_maps
from uvtex.inspection.page import render
from uvtex.inspection.report import inspect_set
from uvtex.inspection.scan import COVERAGE_SIZE

# The figures


def test_a_sound_set_has_no_problems(tiny_set: Path) -> None:
    report = inspect_set(tiny_set, fraction=0.34)
    assert (report.views, report.masks, report.uv_maps, report.unnamed) == (18, 18, 18, 0)
    assert report.sizes == {"32x32": 18}
    assert [(c.name, c.views) for c in report.cameras] == [(f"camera{n}", 6) for n in range(3)]
    assert [livery.side for livery in report.liveries].count("val") == 2
    assert report.problems == []
    assert (report.leakage.leaked_views, report.leakage.matches) == (0, 0)
    assert (report.leakage.train, report.leakage.val) == (12, 6)


def test_coverage_equals_that_of_the_inverted_uv_maps(tiny_set: Path) -> None:
    report = inspect_set(tiny_set)
    seen = [uv_maps.invert(uv_map(n, 3, 32).astype(np.float32), COVERAGE_SIZE)[1] for n in range(3)]
    assert [c.coverage for c in report.cameras] == [float(s.mean()) for s in seen]
    assert report.unseen == pytest.approx(float((~np.any(seen, axis=0)).mean()))
    assert report.seen_by is not None
    assert report.seen_by.max() == 3


def test_without_uv_maps_coverage_is_unknown(messy: Path) -> None:
    change(messy, lambda records: [r.pop("uv_map") for r in records] and None)
    report = inspect_set(messy)
    assert report.unseen is None
    assert {c.coverage for c in report.cameras} == {None}
    assert "Not known: it needs UV maps" in render(report)


@given(st.integers(0, 99), st.floats(0.1, 0.9))
@settings(deadline=None, max_examples=8)
def test_a_split_by_livery_never_leaks_and_a_split_by_sample_does(
    tiny_set: Path, seed: int, fraction: float
) -> None:
    by_livery = inspect_set(tiny_set, "livery", fraction, seed).leakage
    assert by_livery.shared_liveries == ()
    assert by_livery.share == 0
    by_sample = inspect_set(tiny_set, "sample", fraction, seed).leakage
    both = {
        v.name for v in inspect_set(tiny_set, "sample", fraction, seed).liveries if v.side == "both"
    }
    assert set(by_sample.shared_liveries) == both
    assert (by_sample.share > 0) == bool(both)


def test_one_livery_cannot_be_split_and_the_report_says_so(tmp_path: Path) -> None:
    report = inspect_set(make_set(tmp_path, liveries=1))
    assert "needs at least two" in str(report.leakage.error)
    assert "It cannot be split" in render(report)


# Near-duplicates


def test_a_texture_under_two_names_leaks(messy: Path) -> None:
    """A split by livery does not prevent this: the names are of two liveries."""
    in_val = next(v.name for v in inspect_set(messy, fraction=0.2).liveries if v.side == "val")
    in_train = next(v.name for v in inspect_set(messy, fraction=0.2).liveries if v.side == "train")
    source, target = (messy / f"textures/{name[6:]}.png" for name in (in_val, in_train))
    noisy = pictures.read_rgb(source) + np.random.default_rng(0).normal(0, 2, (32, 32, 3))
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(target)
    leak = inspect_set(messy, fraction=0.2).leakage
    assert [(m.val, m.train) for m in leak.texture_matches] == [
        (f"textures/{in_val[6:]}.png", f"textures/{in_train[6:]}.png")
    ]
    assert leak.share == 1


def test_one_texture_file_for_two_liveries_leaks(messy: Path) -> None:
    sides = {v.name: v.side for v in inspect_set(messy, fraction=0.2).liveries}
    in_val, in_train = (next(n for n in sides if sides[n] == side) for side in ("val", "train"))

    def share(records: list[dict[str, Any]]) -> None:
        for record in records:
            if record["livery"] == in_train:
                record["texture"] = f"textures/{in_val[6:]}.png"

    change(messy, share)
    leak = inspect_set(messy, fraction=0.2).leakage
    assert [(m.val == m.train, m.same_livery) for m in leak.texture_matches] == [(True, False)]
    assert leak.share == 1


def test_a_view_saved_twice_leaks_and_is_shown(messy: Path) -> None:
    report = inspect_set(messy, fraction=0.2)
    val = next(
        r.view for r, side in zip(report.records, report.sides, strict=True) if side == "val"
    )
    train = next(
        r.view
        for r, side in zip(report.records, report.sides, strict=True)
        if side == "train" and r.view[-5] == val[-5]  # the same camera, and so the same mask
    )
    Image.open(messy / val).save(messy / "copy.jpg", quality=95, subsampling=0)
    Image.open(messy / "copy.jpg").save(messy / train)
    report = inspect_set(messy, fraction=0.2)
    (match,) = report.leakage.view_matches
    assert (match.val, match.train, match.same_livery) == (val, train, False)
    assert report.leakage.leaked_views == 1
    assert "Views that are nearly the same" in render(report)


# Broken and odd


def save(mode: str, name: str = "views/0_0.png") -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        Image.open(folder / name).convert(mode).save(folder / name)

    return apply


def sixteen_bits(folder: Path) -> None:
    grey = np.asarray(Image.open(folder / "views/0_0.png").convert("L"), np.uint16) * 257
    Image.fromarray(grey).save(folder / "views/0_0.png")


def plain(size: tuple[int, int], name: str, mode: str = "RGB") -> Callable[[Path], None]:
    return lambda folder: Image.new(mode, size).save(folder / name)


def rotated(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.open(folder / "views/0_0.png").save(folder / "views/0_0.png", exif=exif)


def cmyk(folder: Path) -> None:
    Image.open(folder / "views/0_0.png").convert("CMYK").save(folder / "views/0_0.png", "TIFF")


def truncated(folder: Path) -> None:
    content = (folder / "views/0_0.png").read_bytes()
    (folder / "views/0_0.png").write_bytes(content[:-50])


def uv(values: np.ndarray) -> Callable[[Path], None]:
    return lambda folder: np.savez(folder / "uv_maps/0.npz", uv=values)


@pytest.mark.parametrize(
    ("damage", "kind", "file", "says"),
    [
        (truncated, "broken", "views/0_0.png", "not a readable picture"),
        (lambda d: (d / "views/0_0.png").write_bytes(b""), "broken", "views/0_0.png", "empty"),
        (lambda d: (d / "views/0_0.png").unlink(), "broken", "record 0", "is missing"),
        (lambda d: (d / "masks/0.png").write_bytes(b""), "broken", "masks/0.png", "empty"),
        (lambda d: (d / "uv_maps/0.npz").write_bytes(b""), "broken", "uv_maps/0.npz", "UV map"),
        (plain((20000, 20000), "views/0_0.png", "1"), "broken", "views/0_0.png", "scale it down"),
        (sixteen_bits, "odd", "views/0_0.png", "16 bits a channel"),
        (save("P"), "odd", "views/0_0.png", "palette"),
        (save("L"), "odd", "views/0_0.png", "grey"),
        (save("RGBA"), "odd", "views/0_0.png", "alpha"),
        (cmyk, "odd", "views/0_0.png", "CMYK"),
        (rotated, "odd", "views/0_0.png", "EXIF rotation"),
        (plain((1, 1), "views/0_0.png"), "odd", "views/0_0.png", "1x1 pixels"),
        (plain((40, 40), "views/0_0.png"), "odd", "views/0_0.png", "one colour all over"),
        (plain((40, 32), "textures/0.png"), "odd", "textures/0.png", "not square: 40x32"),
        (plain((32, 32), "masks/0.png", "L"), "odd", "masks/0.png", "marks no pixel"),
        (plain((16, 16), "masks/0.png", "L"), "odd", "masks/0.png", "16x16 and 32x32"),
        (uv(np.full((8, 8, 2), np.nan)), "odd", "uv_maps/0.npz", "shows no paint"),
        (uv(np.full((8, 8, 2), 1.5)), "odd", "uv_maps/0.npz", "outside the atlas"),
    ],
)
def test_each_damaged_file_is_reported_with_its_problem(
    messy: Path, damage: Callable[[Path], None], kind: str, file: str, says: str
) -> None:
    damage(messy)
    report = inspect_set(messy, fraction=0.34)
    assert any(p.kind == kind and p.file == file and says in p.what for p in report.problems), (
        report.problems
    )
    assert ("cannot be used" in render(report)) == (kind == "broken")


def test_two_textures_of_one_livery_and_a_path_out_of_the_folder_are_reported(messy: Path) -> None:
    def damage(records: list[dict[str, Any]]) -> None:
        records[0]["texture"] = "textures/1.png"
        records[5]["view"] = "../../x.png"

    change(messy, damage)
    text = "\n".join(f"{p.file} {p.what}" for p in inspect_set(messy).problems)
    assert "livery 'livery0' has 2 textures" in text
    assert "record 5 view '../../x.png' leaves the data set's folder" in text


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("x" * 5000, "cannot be followed: File name too long"),
        ("a\0b", "view 'a\\x00b' cannot be followed"),
        ("loop.png", "view loop.png is missing"),
        ("views", "view views is missing"),
        ("", "view  is missing"),
    ],
)
def test_an_invalid_path_is_reported_briefly(messy: Path, path: str, says: str) -> None:
    (messy / "loop.png").symlink_to("loop.png")
    change(messy, lambda records: records[4].update(view=path))
    report = inspect_set(messy)
    (problem,) = report.problems
    assert (report.views, problem.kind, problem.file) == (17, "broken", "record 4")
    assert says in problem.what
    assert len(problem.what) < 200


def test_a_record_that_is_not_an_object_is_reported(messy: Path) -> None:
    change(messy, lambda records: records.append(["x"] * 99))  # type: ignore[arg-type]
    (problem,) = inspect_set(messy).problems
    assert problem.what.startswith("must be an object with named fields, got ['x', 'x'")
    assert len(problem.what) < 200


@pytest.mark.parametrize("text", ["[]", "{", '{"records": []}'])
def test_a_manifest_without_records_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(DataError, match=re.escape(str(tmp_path))):
        inspect_set(tmp_path)


def test_an_empty_folder_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="uvtex data import"):
        inspect_set(tmp_path)


# The command


def test_the_json_output_holds_the_whole_report(tiny_set: Path) -> None:
    result = CliRunner().invoke(data, ["report", str(tiny_set), "--json"])
    values = json.loads(result.output)
    assert (values["views"], len(values["liveries"]), len(values["cameras"])) == (18, 6, 3)
    assert {v["side"] for v in values["liveries"]} == {"train", "val", "test"}
    assert values["leakage"]["share"] == 0
    assert values["coverage_size"] == COVERAGE_SIZE
    defaults = TrainConfig()
    leak = values["leakage"]
    assert (leak["by"], leak["fraction"], leak["seed"], leak["test_fraction"]) == (
        defaults.split_by,
        defaults.val_split,
        defaults.split_seed,
        NEW_TEST_SPLIT,
    )


def test_help_has_an_example() -> None:
    for command in ("import", "masks", "report"):
        text = CliRunner().invoke(data, [command, "--help"]).output
        assert f"uvtex data {command} " in text


def test_views_of_unknown_cameras_are_counted(messy: Path) -> None:
    records = [
        r.model_copy(update={"camera": None, "mask": None}) for r in manifest.read(messy).records
    ]
    manifest.write(messy, records)
    report = inspect_set(messy)
    assert (report.unnamed, report.cameras, report.masks) == (18, [], 0)
    assert "18 views have no mask" in render(report)
