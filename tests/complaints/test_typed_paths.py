"""Paths that people type, on a command line and in a settings file."""

from __future__ import annotations

import os
import shutil
import unicodedata
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.cli import main as sweep
from sweep.study.file import changes, load, parse
from tests.sets import make_set
from tests.sweep.fakes import SCHEDULES, study_file
from uvtex.cli import main as uvtex
from uvtex.cli.train import _resolve_settings
from uvtex.console import CHECKPOINT, PATH, TypedPath
from uvtex.data import manifest
from uvtex.errors import ConfigError, DataError
from uvtex.settings import dump_yaml, load_yaml
from uvtex.typed.paths import typed
from uvtex.typed.yaml_dialect import dump


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


def commands(group: click.Group) -> list[click.Command]:
    found: list[click.Command] = []
    for command in group.commands.values():
        found += commands(command) if isinstance(command, click.Group) else [command]
    return found


def test_every_path_of_every_uvtex_command_is_of_the_one_type() -> None:
    kinds = [p.type for command in commands(uvtex) for p in command.params]
    paths = [kind for kind in kinds if isinstance(kind, click.Path | click.File)]
    assert len(paths) > 15
    assert all(isinstance(kind, TypedPath) for kind in paths)


# What a path may be


def test_a_tilde_is_the_home_folder(home: Path) -> None:
    assert typed("~/a b/c") == home / "a b/c"
    assert typed("~") == home
    assert typed("~no-such-user/x") == Path("~no-such-user/x")
    assert typed("a~b/~") == Path("a~b/~")


@pytest.mark.parametrize(
    "url",
    ["file://{}/a%20b%23c%3Fd.png", "file://localhost{}/a b#c?d.png", "FILE://{}/a b#c?d.png"],
)
def test_a_file_url_is_its_path(home: Path, url: str) -> None:
    assert typed(url.format(home)) == home / "a b#c?d.png"


@pytest.mark.parametrize(
    "written", ["x y ", " x y", "'x y'", '"x y"', "x y/", "./x y", "\u201cx y\u201d"]
)
def test_blanks_and_quotes_around_what_is_there_do_not_matter(home: Path, written: str) -> None:
    Path("x y").mkdir()
    assert os.path.samefile(typed(written), "x y")


@pytest.mark.parametrize(
    "name", ["x ", " x", "'x'", "-x", "$x", "%x%", "a%20b", "a\nb", "\u00e9?#"]
)
def test_a_name_that_is_there_is_taken_as_it_is_typed(home: Path, name: str) -> None:
    Path(name).touch()
    Path(name.strip(" '")).touch()
    assert typed(name) == Path(name)


@pytest.mark.parametrize(("disk", "written"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_match_however_they_are_encoded(home: Path, disk: str, written: str) -> None:
    Path(unicodedata.normalize(disk, "é.png")).touch()  # type: ignore[arg-type]
    assert typed(unicodedata.normalize(written, "é.png")).exists()  # type: ignore[arg-type]


BAD = [
    ("", "the path is empty"),
    ("  ", "the path is empty"),
    ("a\0b", "a path cannot hold a NUL character"),
    ("x" * 5000, "the path is too long: 5000 characters"),
    ("$HOME/x", "environment variables such as $HOME are not replaced"),
    ("${HOME}/x", "environment variables such as ${HOME} are not replaced"),
    ("%HOME%\\x", "environment variables such as %HOME% are not replaced"),
    ("file://server/x", "the URL names a file of another machine, 'server'"),
]


@pytest.mark.parametrize(("written", "says"), BAD)
def test_what_no_file_can_be_is_refused_on_the_command_line(
    home: Path, written: str, says: str
) -> None:
    result = CliRunner().invoke(uvtex, ["train", written])
    assert result.exit_code == 2
    assert says in result.stderr
    assert len(result.stderr) < 600


@pytest.mark.parametrize(("written", "says"), [bad for bad in BAD if "\0" not in bad[0]])
@pytest.mark.parametrize(
    "key", ["data.path", "store", "train.lpips_backbone", "data.showroom.template"]
)
def test_what_no_file_can_be_is_refused_in_a_study_file_by_its_key(
    home: Path, written: str, says: str, key: str
) -> None:
    first, *rest = key.split(".")
    inner: object = written
    for part in reversed(rest):
        inner = {part: inner}
    if key.startswith("data.showroom"):
        inner = {"path": "x", **inner}  # type: ignore[dict-item]
    path = study_file(home, **{first: inner})
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert f"{path}: {key}: {says}" in str(caught.value)


def test_a_dash_is_no_file(home: Path) -> None:
    result = CliRunner().invoke(uvtex, ["data", "report", "-"])
    assert result.exit_code == 2
    assert "a file named - is ./-" in result.stderr
    Path("-").mkdir()
    assert PATH.convert("./-", None, None) == Path("-")


def test_a_registered_checkpoint_is_no_path(home: Path) -> None:
    assert CHECKPOINT.convert("models:/uvtex@champion", None, None) == "models:/uvtex@champion"
    assert CHECKPOINT.convert("~/a.safetensors", None, None) == str(home / "a.safetensors")
    assert CHECKPOINT.convert("C:/x", None, None) == "C:/x"


# Messages


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["data", "import", "Photos.CSV", "out"], "did you mean 'photos.csv'"),
        (["data", "report", "DATA"], "did you mean 'data'"),
        (["data", "report", "photos.csv"], "is a file; give the folder of a data set"),
        (["train", "link"], "it is a link to 'nowhere', which is not there"),
        (["train", "data", "--config", "Settings.yaml"], "did you mean 'settings.yaml'"),
        (["train", "data", "--config", "data"], "it is a folder; give a file"),
        (["infer", "BEST.safetensors", "x.png", "--out", "o"], "did you mean 'best.safetensors'"),
        (["infer", "data", "x.png", "--out", "o"], "is a folder; give a checkpoint file in it"),
        (["grid", "C:\\best.safetensors", "--data", "data", "--out", "o"], "of a Windows machine"),
        (["showroom", "build", "o", "--camera-file", "data"], "it is a folder; give a file"),
        (["showroom", "build", "o", "--liveries", "$HOME/x"], "$HOME are not replaced"),
    ],
)
def test_a_path_that_is_wrong_comes_with_what_may_be_meant(
    home: Path, args: list[str], says: str
) -> None:
    Path("data").mkdir()
    Path("link").symlink_to("nowhere")
    for name in ("photos.csv", "settings.yaml", "best.safetensors"):
        Path(name).touch()
    result = CliRunner().invoke(uvtex, args)
    assert result.exit_code in (1, 2)
    assert says in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read_is_named(home: Path) -> None:
    Path("settings.yaml").write_text("lr: 1")
    Path("settings.yaml").chmod(0)
    with pytest.raises(ConfigError, match=r"settings\.yaml: cannot be read: Permission denied"):
        load_yaml(Path("settings.yaml"))


@pytest.mark.parametrize("escape", ['"C:\\new"', '"C:\\temp\\racing"', '"..\\fast"'])
def test_a_windows_path_whose_backslashes_are_escapes_is_explained(home: Path, escape: str) -> None:
    path = study_file(home)
    text = path.read_text()
    path.write_text(text.replace(f"path: {home / 'data'}", f"path: {escape}"))
    with pytest.raises(ConfigError, match=r"data\.path: the path holds a control character"):
        load(path)


# Where a relative path counts from


def test_paths_in_a_study_file_count_from_that_file(home: Path) -> None:
    for name in ("set", "liveries"):
        (home / name).mkdir()
    for name in ("car.glb", "template.png", "alexnet.pth"):
        (home / name).touch()
    path = study_file(
        home,
        data={
            "path": "set",
            "showroom": {
                "livery_dir": "liveries",
                "template": "template.png",
                "car": {"file": "car.glb"},
            },
        },
        train={"lpips_backbone": "alexnet.pth"},
        search={"queue": ["good"], "schedules": "more/mine.yaml"},
    )
    (home / "more").mkdir()
    (home / "more/mine.yaml").write_text(dump(SCHEDULES))
    found = load(path)
    assert found.data.path == home / "set"
    assert found.data.showroom is not None
    assert found.data.showroom["livery_dir"] == str(home / "liveries")
    assert found.data.showroom["template"] == str(home / "template.png")
    assert found.data.showroom["car"]["file"] == str(home / "car.glb")
    assert found.train["lpips_backbone"] == str(home / "alexnet.pth")
    assert list(found.search.schedules) == ["good"]


def test_what_is_not_beside_the_study_file_counts_from_the_working_folder(home: Path) -> None:
    Path("set").mkdir()
    found = load(study_file(home, data={"path": "set"}, store="runs"))
    assert (found.data.path, found.store) == (Path("set"), Path("runs"))


def test_the_store_counts_from_the_working_folder_as_the_flag_does(home: Path) -> None:
    (home / "runs").mkdir()
    assert load(study_file(home, store="runs")).store == Path("runs")


def test_a_tilde_in_a_study_file_is_the_home_folder(home: Path) -> None:
    path = study_file(
        home,
        data={"path": "~/set"},
        store="~/store",
        search={"queue": ["good"], "schedules": "~/schedules.yaml"},
    )
    found = load(path)
    assert (found.data.path, found.store) == (home / "set", home / "store")
    assert str(home / "store") in found.tracking_uri


def test_a_saved_study_is_not_read_as_typed(home: Path) -> None:
    found = load(study_file(home, data={"path": "~/set"}))
    odd = found.model_copy(update={"store": Path("~")})
    (home / "saved.yaml").write_text(dump_yaml(odd))
    assert parse(load_yaml(home / "saved.yaml"), "saved.yaml").store == Path("~")


def test_the_same_study_from_another_folder_is_no_other_study(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "set").mkdir()
    path = study_file(home, data={"path": "set"})
    elsewhere = load(path)
    monkeypatch.chdir(home)
    here = load(Path("study.yaml"))
    assert here.data.path == Path("set")
    assert changes(here, elsewhere) == changes(elsewhere, here) == []
    other = load(study_file(home, data={"path": "other"}))
    assert changes(here, other) == ["data.path: 'set' -> 'other'"]


def test_paths_in_a_settings_file_of_train_count_from_that_file(home: Path) -> None:
    (home / "alexnet.pth").touch()
    (home / "settings.yaml").write_text("lpips_backbone: alexnet.pth\n")
    config = _resolve_settings(home / "settings.yaml", {}, resume=False)
    assert config.lpips_backbone == str(home / "alexnet.pth")


def test_a_problem_of_the_settings_file_of_train_names_the_file(home: Path) -> None:
    (home / "settings.yaml").write_text("lr: fast\n")
    with pytest.raises(ConfigError, match=r"settings\.yaml: lr: must be a number, got 'fast'"):
        _resolve_settings(home / "settings.yaml", {}, resume=False)
    assert _resolve_settings(home / "settings.yaml", {"lr": 1e-3}, resume=False).lr == 1e-3


# Every name works wherever a file is read or written

ODD = [
    "50% #1?.d",
    "a b",
    'it\'s "x"',
    "Grün é 漢字 🏎",
    "-x",
    "a\nb",
    "[x]*",
    "$x",
    "a:b",
    "~x",
    "\\",
]


@pytest.mark.parametrize("name", ODD)
def test_an_odd_name_works_for_data_tables_and_reports(home: Path, name: str) -> None:
    source, out = home / name, home / f"out {name}"
    make_set(source, liveries=2, cameras=1)
    args = ["data", "import", "--", str(source), str(out)]
    result = CliRunner().invoke(uvtex, args)
    assert result.exit_code == 0, result.output
    assert len(manifest.read(out).records) == 2
    page = home / f"{name}.html"
    result = CliRunner().invoke(uvtex, ["data", "report", str(out), "--html", str(page)])
    assert result.exit_code == 0, result.output
    assert page.is_file()


@pytest.mark.skipif(os.name == "nt", reason="file names are Unicode there")
def test_a_name_that_is_no_text_works_for_data_and_reports(home: Path) -> None:
    name = os.fsdecode(b"s\xff")
    make_set(Path(name), liveries=2, cameras=1)
    for args in (
        ["data", "import", name, f"out{name}"],
        ["data", "report", name, "--html", f"{name}.html"],
    ):
        result = CliRunner().invoke(uvtex, args)
        assert result.exit_code == 0, result.output
    assert "s\\udcff" in Path(f"{name}.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ODD)
def test_an_odd_name_works_for_a_study(home: Path, name: str) -> None:
    folder = home / name
    path = study_file(folder, data={"path": "set " + name.strip("\n")})
    (folder / ("set " + name)).mkdir()
    shutil.move(folder / "schedules.yaml", folder / f"{name}.yaml")
    path.write_text(
        path.read_text().replace(
            "queue:", f"{dump({'schedules': name + '.yaml'}).strip()}\n  queue:"
        )
    )
    result = CliRunner().invoke(sweep, ["run", "--dry-run", "--", str(path)])
    assert result.exit_code == 0, result.output
    assert (folder / "store").is_dir()


file_names = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=30
).filter(lambda name: name.strip(". ") and len(name.encode()) < 200 and name.strip())


@settings(deadline=None, max_examples=100)
@given(file_names)
def test_any_file_that_is_there_is_found_by_its_name(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    path = tmp_path_factory.mktemp("n") / name
    path.touch()
    assert typed(str(path)) == path
    assert PATH.convert(str(path), None, None) == path


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=40))
def test_any_text_is_a_path_or_refused_in_one_message(text: str) -> None:
    said = None
    try:
        typed(text)
    except ValueError as error:
        said = str(error)
    assert said is None or len(said.splitlines()) == 1


def test_a_missing_set_says_so(home: Path) -> None:
    with pytest.raises(DataError, match=r"no manifest\.json there; `uvtex data import`"):
        manifest.read(home / "none")
