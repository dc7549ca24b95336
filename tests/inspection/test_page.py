"""The page of the data report: a single file, and safe with any names."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

from tests.inspection.conftest import change
from uvtex.cli import main
from uvtex.cli.data import data
from uvtex.inspection.page import render
from uvtex.inspection.report import inspect_set


class Page(HTMLParser):
    """Collects the pictures, links and text of a page, and checks that its tags pair."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.pictures: list[str] = []
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.pictures += [str(value) for name, value in attrs if name == "src"]
        self.addresses += [str(value) for name, value in attrs if name == "href"]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_a_single_file(tiny_set: Path) -> None:
    page = Page(render(inspect_set(tiny_set, fraction=0.34)))
    assert page.open == []
    assert all(address.startswith("#") for address in page.addresses)
    # The atlas, a view and a UV map a camera, a texture and 3 views a livery.
    assert len(page.pictures) == 1 + 3 + 3 + 6 * 4
    for source in page.pictures:
        assert source.startswith("data:image/")
        Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))).load()
    assert "Ready to train on" in page.text


def test_names_cannot_break_the_page(messy: Path) -> None:
    """The names of a livery, a file, a camera and the folder of the set."""
    livery, camera = "<script>alert('x')</script>&\"", "</section><b onclick='x'>\u8eca & \u00fc"
    view = "views/\u00fc <img src=x onerror=alert(1)>\"'&.png"
    nested = messy / view
    nested.parent.mkdir(parents=True, exist_ok=True)
    nested.write_bytes(b"")
    folder = messy.rename(messy.with_name('a <b>&"\'set"'))

    def rename(records: list[dict[str, Any]]) -> None:
        for record in records[:3]:
            record.update(livery=livery, camera=camera)
        records[0]["view"] = view

    change(folder, rename)
    text = render(inspect_set(folder, "sample", 0.3))
    page = Page(text)
    assert page.open == []
    assert all(source.startswith("data:image/") for source in page.pictures)
    assert not re.search("<script|<b onclick|<img src=x|a <b>", text)
    for name in (livery, camera, view, folder.name):
        assert name in page.text


def test_an_unreadable_picture_is_shown_as_a_box(messy: Path) -> None:
    for path in (messy / "views").iterdir():
        path.write_bytes(b"")
    page = Page(render(inspect_set(messy)))
    assert page.open == []
    assert "unreadable" in page.text


def test_the_command_prints_the_figures_and_writes_the_page(tiny_set: Path, tmp_path: Path) -> None:
    html = tmp_path / "report.html"
    flags = ["--split-by", "sample", "--val-split", "0.3", "--split-seed", "4"]
    result = CliRunner().invoke(data, ["report", str(tiny_set), "--html", str(html), *flags])
    assert result.exit_code == 0, result.output
    assert "by sample, 0.3 " in result.output
    assert "seed 4" in result.output
    assert re.search(
        r"leakage +\d+ of 5 validation views \(\d+%\): \d liveries on both", result.output
    )
    assert "camera0" in result.output
    assert html.read_text().startswith("<!doctype html>")


def test_a_page_in_a_missing_folder_is_refused_before_the_scan(
    tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uvtex.inspection.report.inspect_set", None)
    result = CliRunner().invoke(
        main, ["data", "report", str(tiny_set), "--html", str(tmp_path / "none/r.html")]
    )
    assert result.exit_code == 1
    assert f"{tmp_path / 'none/r.html'}: its folder" in result.stderr
