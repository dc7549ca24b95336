"""Paths in tables, as people write them."""

from __future__ import annotations

import csv
import io
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.complaints.made_tables import BOTH, HEAD, ROWS, lines, table, views
from uvtex.intake import sources


@pytest.mark.parametrize(
    "written",
    [
        "pics/red view.png",
        "./pics/../pics/red view.png",
        "pics\\red view.png",
        ".\\pics\\red view.png",
        "'pics/red view.png'",
        "\u201cpics/red view.png\u201d",
        "pics/red%20view.png",
        "pics\\red%20view.png",
        "{folder}/pics/red view.png",
        "file://{folder}/pics/red%20view.png",
        "FILE://localhost{folder}/pics/red%20view.png",
        "~/pics/red view.png",
    ],
)
def test_a_path_may_be_written_in_these_ways(
    folder: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setenv("HOME", str(folder))
    row = [written.format(folder=folder), "red", ROWS[0][2]]
    assert views(sources.read(table(folder, lines([row, ROWS[1]])))) == BOTH


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("pics/Red View.PNG", "did you mean 'pics/red view.png'?"),
        ("PICS\\RED VIEW.PNG", "did you mean 'pics/red view.png'?"),
        ("$HOME/a.png", "environment variables such as $HOME are not replaced"),
        ("%HOME%/a.png", "environment variables such as %HOME% are not replaced"),
        ("C:\\Users\\x\\a.png", "it is a path of a Windows machine"),
        ("\\\\server\\share\\a.png", "it is a path of a Windows machine"),
        ("https://example.org/a.png", "it is a URL: fetch the file"),
        ("smb://server/a.png", "it is a URL: fetch the file"),
        ("file://server/a.png", "the URL names a file of another machine, 'server'"),
        ("here.png", "the working folder has it, but a relative path counts from"),
        ("link.png", "it is a link to 'nowhere.png', which is not there"),
    ],
)
def test_a_missing_file_comes_with_what_may_be_wrong(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, says: str
) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work/here.png").touch()
    (folder / "link.png").symlink_to("nowhere.png")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", "/home/x")
    source = sources.read(table(folder, lines([[written, "x", ROWS[0][2]], ROWS[1]])))
    (unusable,) = source.unusable
    assert says in unusable.reason


@pytest.mark.parametrize(("disk", "cell"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_match_however_they_are_encoded(folder: Path, disk: str, cell: str) -> None:
    name = "Grün é.png"
    (folder / unicodedata.normalize(disk, name)).touch()  # type: ignore[arg-type]
    row = [unicodedata.normalize(cell, name), "x", ROWS[0][2]]  # type: ignore[arg-type]
    assert not sources.read(table(folder, lines([row]))).unusable


def test_a_link_to_a_picture_is_followed(folder: Path) -> None:
    (folder / "link.png").symlink_to("pics/b.png")
    assert views(sources.read(table(folder, lines([["link.png", "x", ROWS[0][2]]])))) == [
        ("b.png", "x")
    ]


file_names = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0\r", exclude_categories=["Cs"]),
    min_size=1,
    max_size=20,
).filter(lambda name: name.strip() == name and name.strip(".") and len(name.encode()) < 100)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(file_names, min_size=1, max_size=3, unique_by=str.casefold),
    st.sampled_from(csv.list_dialects()),
    st.sampled_from(",;\t|"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.booleans(),
)
def test_every_file_name_survives_every_dialect(
    tmp_path_factory: pytest.TempPathFactory,
    names: list[str],
    dialect: str,
    sign: str,
    encoding: str,
    quoting: int,
    hint: bool,
) -> None:
    folder = tmp_path_factory.mktemp("t")
    (folder / "uv.png").touch()
    made = []
    for name in names:
        if (folder / f"v{name}.png").exists():
            continue
        (folder / f"v{name}.png").touch()
        made.append(f"v{name}.png")
    text = io.StringIO()
    writer = csv.writer(text, dialect, delimiter=sign, quoting=quoting)  # type: ignore[arg-type]
    writer.writerow(HEAD)
    writer.writerows([name, "x", "uv.png"] for name in made)
    head = f"sep={sign}\r\n" if hint else ""
    path = table(folder, (head + text.getvalue()).encode(encoding), "table.csv")
    source = sources.read(path)
    assert not source.unusable
    assert [c.view for c in source.candidates] == [(folder / name).resolve() for name in made]
