"""Tables as people's spreadsheets and scripts write them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from tests.complaints.made_tables import BOTH, HEAD, ROWS, lines, table, views
from tests.intake.sources import picture, texture
from uvtex.cli.data import data
from uvtex.errors import DataError
from uvtex.intake import sources
from uvtex.intake.importer import import_set


@pytest.mark.parametrize("first", ["", "sep={}\n", "SEP={}\n", '"sep={}"\n', "sep={} \n\n", "\n\n"])
@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_every_delimiter_encoding_and_line_end_is_read(
    folder: Path, first: str, sign: str, encoding: str, newline: str
) -> None:
    text = first.format(sign) + lines(sign=sign)
    path = table(folder, text.replace("\n", newline).encode(encoding))
    source = sources.read(path)
    assert views(source) == BOTH
    assert not source.unusable
    assert not source.notes


def test_excels_separator_line_may_name_the_tab(folder: Path) -> None:
    assert views(sources.read(table(folder, "sep=\\t\n" + lines(sign="\t")))) == BOTH


def test_a_wrong_separator_line_does_not_hide_the_columns(folder: Path) -> None:
    assert views(sources.read(table(folder, "sep=;\n" + lines(sign=",")))) == BOTH


def test_line_numbers_count_the_lines_before_the_headings(folder: Path) -> None:
    path = table(folder, "sep=;\n# by hand\n\nview;livery;texture\nnone.png;x;y.png\n")
    assert sources.read(path).unusable[0].where == "line 5"


def test_line_numbers_count_line_breaks_in_cells(folder: Path) -> None:
    text = 'view,livery,texture,note\npics/b.png,x,pics/b_uv.png,"a\nb"\nnone.png,x,y.png,\n'
    source = sources.read(table(folder, text))
    assert [item.where for item in source.unusable] == ["line 4"]


@pytest.mark.parametrize(
    "head",
    [
        ["View ", " LIVERY", "Texture"],
        ['"view"', '"livery"', '"texture"'],
        ["VIEW", "Livery", "\u00a0texture\u00a0"],
    ],
)
def test_headings_may_have_any_case_and_blanks(folder: Path, head: list[str]) -> None:
    assert views(sources.read(table(folder, lines(head=head)))) == BOTH


@pytest.mark.parametrize("name", ["uv_map", "UV Map", "uv-map", "UvMap", "UV  map "])
def test_the_uv_map_column_may_be_written_in_any_way(folder: Path, name: str) -> None:
    (folder / "m.npz").touch()
    rows = [[*row, "m.npz"] for row in ROWS]
    source = sources.read(table(folder, lines(rows, [*HEAD, name])))
    assert all(c.uv_map is not None and c.uv_map.name == "m.npz" for c in source.candidates)
    assert not source.notes


def test_latin_1_umlauts_are_read_and_it_is_said(folder: Path) -> None:
    picture(folder / "pics/größe.png")
    text = lines([["pics/größe.png", "Grün", "pics/b_uv.png"]])
    source = sources.read(table(folder, text.encode("cp1252")))
    assert views(source) == [("größe.png", "Grün")]
    assert "read as Windows-1252" in source.notes[0]


def test_numbers_stay_as_they_are_written(folder: Path) -> None:
    rows = [["pics/red view.png", "001", "pics/red_uv.png"], ["pics/b.png", "1e5", "pics/b_uv.png"]]
    assert [livery for _, livery in views(sources.read(table(folder, lines(rows))))] == [
        "001",
        "1e5",
    ]


def test_blanks_around_cells_do_not_matter(folder: Path) -> None:
    rows = [[f" {cell} \u00a0" for cell in row] for row in ROWS]
    assert views(sources.read(table(folder, lines(rows)))) == BOTH


@pytest.mark.parametrize("sign", [",", ";"])
def test_empty_columns_and_rows_at_the_end_are_skipped_and_counted(folder: Path, sign: str) -> None:
    rows = [[*row, "", ""] for row in [*ROWS, ["", "", ""], [" ", "", ""]]]
    source = sources.read(table(folder, lines(rows, [*HEAD, "", ""], sign)))
    assert views(source) == BOTH
    assert not source.unusable
    assert source.notes == ["2 empty rows skipped: line 4, 5"]


def test_comments_are_skipped_and_counted(folder: Path) -> None:
    text = "# my table\n" + lines() + "# pics/c.png,c,pics/c_uv.png\n#\n"
    source = sources.read(table(folder, text))
    assert views(source) == BOTH
    assert source.notes == ["2 comments skipped: line 5, 6"]


def test_a_file_whose_name_begins_with_a_hash_is_no_comment(folder: Path) -> None:
    picture(folder / "#1.png")
    source = sources.read(table(folder, lines([["#1.png", "x", "pics/b_uv.png"]])))
    assert views(source) == [("#1.png", "x")]


def test_columns_that_are_not_used_are_named(folder: Path) -> None:
    rows = [[*row, "x", "y", ""] for row in ROWS]
    source = sources.read(table(folder, lines(rows, [*HEAD, "Date", "Notes", ""])))
    assert source.notes == ["2 columns not used: Date, Notes"]


def test_cells_without_a_heading_are_named(folder: Path) -> None:
    rows = [[*ROWS[0], "checked"], [*ROWS[1], "", "x"]]
    source = sources.read(table(folder, lines(rows, [*HEAD, ""])))
    assert views(source) == BOTH
    assert source.notes == [
        "1 rows have cells in columns without a heading, which are not used: line 2",
        "1 rows have cells beyond the headings, which are not used: line 3",
    ]


def test_pictures_that_no_row_names_are_named(folder: Path) -> None:
    for number in range(5):
        Image.new("RGB", (1, 1)).save(folder / f"pics/other{number}.jpg")
    source = sources.read(table(folder, lines()))
    (note,) = source.notes
    assert note.startswith("5 pictures beside those of the table are in no row that can be used: ")
    assert note.endswith("other0.jpg, other1.jpg, other2.jpg and 2 more")


def test_the_command_prints_what_was_left_out(folder: Path, tmp_path: Path) -> None:
    picture(folder / "v.png")
    texture(folder / "t.png")
    path = table(
        folder, "sep=;\nview;livery;texture;when\nv.png;a;t.png;now\n;;;\nx.png;a;t.png;\n"
    )
    result = CliRunner().invoke(data, ["import", str(path), str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    for said in ("1 column not used: when", "1 empty rows skipped: line 4", "line 5: view x.png"):
        assert said in result.output


# What is refused


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("view,view,livery,texture\n", "the columns 1 and 2 are both named view"),
        ("view,UV Map,uv_map,livery,texture\n", "the columns 2 and 3 are both named uv_map"),
        ("a.png,red,b.png\n", "no column view, livery, texture; .* got a.png, red, b.png"),
        ("view;texture\na;b\n", "no column livery"),
        ("sep=;\n", "no column view, livery, texture; .* got nothing"),
        ('view,livery,texture\na,b,c\n"a,b,c\n', "line 3: a quote is opened and never closed"),
        ('view,livery,texture\n"a"b,c,d\n', "line 2: "),
        (b"PK\x03\x04\x14\x00\x00", "it is a spreadsheet or another ZIP file; save .* CSV UTF-8"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "it is an old Excel or Word file; save .* CSV UTF-8"),
        (b"view,livery,texture\n\x81\x8d\xfc,b,c\n", "cannot be read as UTF-8 text: line 2: byte"),
    ],
)
def test_a_table_that_cannot_be_read_says_why(folder: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(DataError, match=says) as caught:
        sources.read(table(folder, text))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["t.xlsx", "t.XLSX", "t.xls", "t.ods", "t.numbers"])
def test_a_spreadsheet_is_refused_by_name_also_in_its_folder(tmp_path: Path, name: str) -> None:
    path = table(tmp_path, b"PK\x03\x04", name)
    for given_path in (path, tmp_path):
        with pytest.raises(DataError, match="it is a spreadsheet; save its table as CSV UTF-8"):
            sources.read(given_path)


@pytest.mark.parametrize("name", ["t.CSV", "t.tsv", "t.txt"])
def test_excels_other_names_of_tables_are_read(folder: Path, name: str) -> None:
    path = table(folder, lines(sign="\t").encode("utf-16"), name)
    assert views(sources.read(path)) == BOTH
    if name != "t.txt":
        assert views(sources.read(folder)) == BOTH


def test_one_row_that_cannot_be_used_does_not_take_the_others(folder: Path) -> None:
    bad = [
        ["", "x", "pics/b_uv.png"],
        ["pics/b.png", " ", "pics/b_uv.png"],
        ["pics/b.png"],
        ["x" * 200_000, "x", "pics/b_uv.png"],
        ["a\0b.png", "x", "pics/b_uv.png"],
        ["pics/a", "b.png", "x", "pics/b_uv.png"],
        ["pics", "x", "pics/b_uv.png"],
    ]
    source = sources.read(table(folder, lines([*bad, *ROWS])))
    assert views(source) == BOTH
    reasons = [item.reason for item in source.unusable]
    assert reasons[0] == "view: the row has none"
    assert reasons[1] == "livery: the row has none"
    assert reasons[2] == "livery and texture: the row has none"
    assert "is not a valid path: File name too long" in reasons[3]
    assert "is not a valid path: it holds a NUL character" in reasons[4]
    assert "the row has 4 cells and the table 3 columns: put a cell" in reasons[5]
    assert reasons[6] == "view pics is missing; it is a folder"
    assert all(len(reason) < 300 for reason in reasons)


def test_an_imported_table_keeps_the_notes_beside_the_set(folder: Path, tmp_path: Path) -> None:
    picture(folder / "v.png")
    texture(folder / "t.png")
    path = table(folder, "view,livery,texture,x\nv.png,a,t.png,1\n")
    import_set(path, tmp_path / "out")
    saved = json.loads((tmp_path / "out/import.json").read_text())
    assert saved["notes"][0] == "1 column not used: x"
