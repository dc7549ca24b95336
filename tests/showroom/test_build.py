"""Builds of a set: written files, kept files, and refused settings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uvtex.data import manifest
from uvtex.errors import ConfigError, DataError, UvtexError
from uvtex.imaging import seams
from uvtex.showroom import ShowroomSettings
from uvtex.showroom.build import build
from uvtex.showroom.rendering import plates

SMALL = ShowroomSettings(size=16, texture_size=32, cameras=2, liveries=3, samples=4, supersample=2)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete small set. No test may change it."""
    return build(SMALL, tmp_path_factory.mktemp("showroom") / "set").parent


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def picture(path: Path) -> tuple[str, tuple[int, int]]:
    with Image.open(path) as opened:
        return opened.mode, opened.size


def test_a_set_holds_every_view_with_its_mask_and_map(built: Path) -> None:
    records = manifest.read(built).records
    assert len({(r.camera, r.livery) for r in records}) == len(records) == 6
    for record in records:
        assert picture(built / record.view) == ("RGB", (16, 16))
        assert picture(built / record.texture) == ("RGB", (32, 32))
        assert record.mask is not None
        assert picture(built / record.mask) == ("L", (16, 16))
        assert record.uv_map is not None
        with np.load(built / record.uv_map, allow_pickle=False) as arrays:
            assert arrays["uv"].shape == (32, 32, 2)


def test_a_set_holds_the_seams_of_the_car(built: Path) -> None:
    with np.load(built / seams.SEAMS, allow_pickle=False) as arrays:
        assert arrays["a"].shape == arrays["b"].shape == (len(arrays["length"]), 2, 2)
        assert float(arrays["length"].sum()) == pytest.approx(9.41, abs=0.05)


def test_without_maps_a_set_is_as_of_photos(built: Path, tmp_path: Path) -> None:
    settings = SMALL.model_copy(update={"maps": False})
    bare = build(settings, tmp_path / "bare").parent
    for record, known in zip(
        manifest.read(bare).records, manifest.read(built).records, strict=True
    ):
        assert (record.uv_map, record.plate) == (None, None)
        assert record.model_copy(update={"uv_map": known.uv_map, "plate": known.plate}) == known
        assert (bare / record.view).read_bytes() == (built / known.view).read_bytes()


def test_a_set_without_maps_needs_its_views(tmp_path: Path) -> None:
    settings = SMALL.model_copy(update={"maps": False, "views": False})
    with pytest.raises(ConfigError, match="--no-maps"):
        build(settings, tmp_path / "set")


def test_the_same_settings_give_the_same_files(built: Path, tmp_path: Path) -> None:
    again = build(SMALL, tmp_path / "again").parent
    assert files(again) == files(built)


def test_an_interrupted_build_continues_and_gives_the_same_files(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, traced = tmp_path / "set", []
    whole = plates.trace

    def failing(*args: object) -> plates.Plate:
        traced.append(args)
        if len(traced) == 2:
            raise KeyboardInterrupt
        return whole(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(plates, "trace", failing)
    with pytest.raises(KeyboardInterrupt):
        build(SMALL, out)
    assert not (out / "manifest.json").exists()
    build(SMALL, out)
    assert len(traced) == 3, "the first camera's plate should have been kept"
    assert files(out) == files(built)


def test_a_complete_set_is_returned_at_once(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mitsuba", None)
    lines: list[str] = []
    assert build(SMALL, built, lines.append) == built / "manifest.json"
    assert len(lines) == 1
    assert "complete" in lines[0]


def test_other_settings_are_refused_by_name(built: Path) -> None:
    before = files(built)
    with pytest.raises(DataError, match="liveries 3, not 4") as refused:
        build(SMALL.model_copy(update={"liveries": 4}), built)
    assert "other settings" in str(refused.value)
    assert files(built) == before


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="something else"):
        build(SMALL, tmp_path)
    with pytest.raises(DataError, match="is a file"):
        build(SMALL, tmp_path / "thesis.txt")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    """A file in the way replaces a read-only folder, because root may write anywhere."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UvtexError, match="cannot be made"):
        build(SMALL, tmp_path / "file" / "set")


def test_a_full_disk_leaves_no_manifest_and_the_build_can_continue(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    whole, calls = os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 9:
            raise OSError(28, "No space left on device")
        whole(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UvtexError, match="No space left"):
        build(SMALL, tmp_path / "set")
    assert not (tmp_path / "set" / "manifest.json").exists()
    build(SMALL, tmp_path / "set")
    assert files(tmp_path / "set") == files(built)


def test_a_broken_plate_is_named(built: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    for name, content in files(built).items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(content)
    (out / "manifest.json").unlink()
    (out / "plates" / "cam00.npz").write_bytes(b"half a file")
    with pytest.raises(DataError, match=r"delete plates/cam00\.npz"):
        build(SMALL, out)


def test_without_the_path_tracer_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mitsuba", None)
    with pytest.raises(UvtexError, match="pip install"):
        build(SMALL, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_settings_import_neither_torch_nor_the_path_tracer() -> None:
    code = (
        "import sys, uvtex.showroom.settings, uvtex.showroom\n"
        "print([m for m in ('torch', 'mitsuba', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
