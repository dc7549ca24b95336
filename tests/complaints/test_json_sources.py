"""JSON as people's programs write it: manifests and earlier scripts' metadata."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.complaints.made_tables import ROWS, table
from tests.sets import make_set
from uvtex.data import manifest
from uvtex.errors import DataError
from uvtex.intake import sources


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_manifest_may_have_any_unicode_encoding(tmp_path: Path, encoding: str) -> None:
    folder = make_set(tmp_path / "set", liveries=2, cameras=1)
    path = folder / "manifest.json"
    path.write_bytes(path.read_text().encode(encoding))
    assert len(manifest.read(folder).records) == 2
    assert len(sources.read(folder).candidates) == 2


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_an_earlier_scripts_metadata_may_have_any_unicode_encoding(
    folder: Path, encoding: str
) -> None:
    records = [{"source_uv": row[2], "view_aug": row[0]} for row in ROWS]
    path = table(folder, json.dumps(records).encode(encoding), "metadata.json")
    assert len(sources.read(path).candidates) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[{"a": 1,\n "b": 2,\n}]', "line 3 column 1"),
        ("[1,\n]", "remove the comma before ]"),
        ("[{'a': 1}]", "JSON has texts in double quotes"),
        ("// x\n[]", "JSON has no comments"),
        ("", "the file is empty"),
        ('[{"view_aug": "a", "view_aug": "b"}]', "an object has the key 'view_aug' twice"),
    ],
)
def test_json_that_cannot_be_read_says_where_and_why(folder: Path, text: str, says: str) -> None:
    with pytest.raises(DataError, match="cannot be read as JSON: ") as caught:
        sources.read(table(folder, text, "metadata.json"))
    assert says in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_both_readers_of_a_manifest_refuse_a_key_that_is_there_twice(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "set", liveries=2, cameras=1)
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"view":', '"view": "x.png", "view":', 1))
    for read in (manifest.read, sources.read):
        with pytest.raises(DataError, match="an object has the key 'view' twice"):
            read(folder)


def test_a_trailing_comma_in_a_manifest_is_placed(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "set", liveries=2, cameras=1)
    path = folder / "manifest.json"
    path.write_text(path.read_text().rstrip()[:-1] + ",}")
    for read in (manifest.read, sources.read):
        with pytest.raises(DataError, match=r"line .* column"):
            read(folder)


def test_a_manifests_file_that_differs_in_case_is_named(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "set", liveries=2, cameras=1)
    record = manifest.read(folder).records[0]
    os.rename(folder / record.view, folder / record.view.upper().replace("VIEWS/", "views/"))
    with pytest.raises(DataError, match="is missing; did you mean"):
        manifest.read(folder)
