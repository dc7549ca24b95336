"""YAML files as people write them: numbers, names, the traps of YAML 1.1, and faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sweep.cli import main as sweep
from sweep.study.file import changes, load, parse
from tests.sweep.fakes import study_file
from uvtex.config import TrainConfig, resolve
from uvtex.errors import ConfigError
from uvtex.settings import dump_yaml, load_yaml, validate
from uvtex.typed import yaml_dialect

SCHEDULE = "cycle: 0.3, uv: 0.45, direct: 0.3"


def with_schedules(folder: Path, text: str, queue: str = "[one]") -> Path:
    """A study file that queues the schedules in ``text``."""
    path = study_file(folder, trials=2, search={"queue": ["one"]})
    path.write_text(path.read_text().replace("- one", queue).replace("queue:\n ", "queue:"))
    (folder / "schedules.yaml").write_text(text)
    return path


def refusal(path: Path) -> list[str]:
    """What `sweep run --dry-run` says of a study file that it refuses, by lines."""
    result = CliRunner().invoke(sweep, ["run", str(path), "--dry-run"])
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ")
    return result.stderr.removeprefix("error: ").splitlines()


# A number is a number in every place


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("5e-2", 0.05),
        ("5E-2", 0.05),
        ("1e0", 1.0),
        ("1e+0", 1.0),
        (".5", 0.5),
        ("+.5", 0.5),
        ("+1.0", 1.0),
        ("1.", 1.0),
        ("05", 5.0),
        ("010", 10.0),
        ("0x0A", 10.0),
        ("0o12", 10.0),
        ("1_000", 1000.0),
        ("'5e-2'", 0.05),
        ('"0.5"', 0.5),
    ],
)
@pytest.mark.parametrize("form", ["{}", "{{start: {}}}", "{{start: 1, end: {}}}"])
def test_a_weight_is_a_number_however_it_is_written(
    tmp_path: Path, written: str, number: float, form: str
) -> None:
    weight = form.format(written)
    path = tmp_path / "settings.yaml"
    path.write_text(f"schedule: {{cross: {weight}}}\nw_flow: {written}\n")
    config = resolve(load_yaml(path))
    cross = config.schedule.cross
    assert number in (cross.start, cross.end)
    assert config.w_flow == number


def test_a_number_with_an_exponent_is_a_weight_in_a_schedules_file(tmp_path: Path) -> None:
    path = with_schedules(tmp_path, f"one: {{{SCHEDULE}, cross: 5e-2, tmax: 1e0}}")
    assert load(path).search.schedules["one"].cross.start == 0.05


@pytest.mark.parametrize("written", ["yes", "on", "true", "abc", "'0,3'", "1:30", "[1]", "~x"])
def test_what_is_no_number_is_refused_by_file_key_and_value(tmp_path: Path, written: str) -> None:
    path = with_schedules(tmp_path, f"one: {{cross: {written}}}")
    (line,) = refusal(path)
    said = f"{tmp_path / 'schedules.yaml'}: one.cross: must be a number, or start and end, got "
    assert line.startswith(said)
    assert written.strip("'") in line


def test_a_decimal_comma_is_explained(tmp_path: Path) -> None:
    path = with_schedules(tmp_path, "one:\n  cross: 0,3\n  tmax: 1,5\n")
    lines = refusal(path)
    assert lines[0].endswith("got '0,3'; write a decimal point: 0.3")
    assert lines[1].endswith("one.tmax: must be a number, got '1,5'; write a decimal point: 1.5")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("epochs: true", "epochs: must be a number, got true"),
        ("lr: yes", "lr: must be a number, got 'yes'"),
        ("lr: .nan", "lr: must be a finite number, got .nan"),
        ("lr: -.inf", "lr: must be a finite number, got -.inf"),
        ("lr: 1e999", "lr: must be a finite number, got 1e999"),
        ("epochs: 2.5", "epochs: must be a whole number, got 2.5"),
        ("epochs:", "epochs: must be a whole number, got nothing"),
        ("augment: [1, 2]", "augment: must be keys and values, got [1, 2]"),
        ("schedule: 0.3", "schedule: must be keys and values, got 0.3"),
        ("thresholds: {metric: ssim_uv}", "thresholds: must be a list, like [a, b], got"),
        (
            "thresholds: [{metric: ssim_uv, at_least: true}]",
            "thresholds.0.at_least: must be a number, got true",
        ),
        ("preset: null", "preset: must be 'poc05' or 'atlas', got nothing"),
        ("device: true", "device: must be a text; put it in quotes, got true"),
        ("checkpoint_name: a b", "checkpoint_name: must match the pattern: letters, digits"),
        ("lpips_backbone: ''", "lpips_backbone: the path is empty"),
        ("schedule: {cross: {start: 1, stop: 2}}", "schedule.cross.stop: unknown key"),
        ("schedule: {cross: }", "schedule.cross: must be a number, or start and end, got nothing"),
    ],
)
def test_a_wrong_kind_of_value_is_named_in_plain_words(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(yaml_dialect.parse(text))
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"settings: {says}")
    for word in ("Input should", "instance of", "dictionary", "Tuple", "None", "True"):
        assert word not in line


def test_a_message_does_not_repeat_a_huge_value() -> None:
    with pytest.raises(ConfigError) as caught:
        resolve({"augment": list(range(10_000))})
    assert len(str(caught.value)) < 200


def test_yes_and_no_still_are_true_and_false_where_these_are_asked_for(tmp_path: Path) -> None:
    path = study_file(tmp_path)
    path.write_text(path.read_text().replace("pruning:\n", "pruning:\n  enabled: no\n"))
    assert load(path).pruning.enabled is False


def test_a_section_without_values_is_as_if_it_were_absent(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("name: x\ndata: {path: x}\nstages:\n  # probe: 3\nsearch:\npruning:\ntrain:\n")
    short = tmp_path / "short.yaml"
    short.write_text("name: x\ndata: {path: x}\n")
    assert load(path) == load(short)


# A name is a name in every place

TRICKY = [
    "no",
    "on",
    "off",
    "yes",
    "y",
    "null",
    "true",
    "1",
    "007",
    "0x1F",
    "1e5",
    "5e-2",
    "1_000",
    "1.5",
    "2024-01-01",
    "12-30",
    "nan",
    "inf",
]


@pytest.mark.parametrize("name", TRICKY)
def test_a_schedule_may_have_a_name_that_looks_like_something_else(
    tmp_path: Path, name: str
) -> None:
    quoted = f"'{name}'" if name in ("null", "true") else name
    path = with_schedules(tmp_path, f"{name}: {{{SCHEDULE}}}", f"[{quoted}]")
    study = load(path)
    assert study.search.queue == (name,)
    assert list(study.search.schedules) == [name]
    assert parse(yaml_dialect.parse(dump_yaml(study)), "again") == study


@pytest.mark.parametrize("name", [name for name in TRICKY if name not in ("null", "true")])
def test_a_study_may_have_a_name_that_looks_like_something_else(tmp_path: Path, name: str) -> None:
    path = study_file(tmp_path)
    path.write_text(path.read_text().replace("name: made-up", f"name: {name}"))
    assert load(path).name == name


def test_a_name_that_must_be_quoted_is_named(tmp_path: Path) -> None:
    path = with_schedules(tmp_path, f"null: {{{SCHEDULE}}}", "[null]")
    (line,) = refusal(path)
    assert line == f"{path}: search.queue.0: must be a text; put it in quotes, got nothing"


# Faults of the file

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3, column 1: the key 'a' is in line 1 already"),
        ("x:\n  a: 1\n  b: {c: 1, c: 2}\n", "line 3, column 13: the key 'c' is in line 3 already"),
        ("1: a\n1: b\n", "the key '1' is in line 1 already"),
        ("a:\n\t- 1\n", "line 2, column 1: .*a tab cannot indent: use spaces"),
        ("a:\n  b: 1\n\tc: 2\n", "line 3.*a tab cannot indent: use spaces"),
        ('path: "C:\\data"\n', r"line 1, column 11: .*write the path with / or in single quotes"),
        ('path: "C:\\Users\\x"\n', "write the path with / or in single quotes"),
        ("a: b: c\n", "line 1, column 5: .*in quotes"),
        ("a: @x\n", "put the text in quotes"),
        ("a: `x`\n", "put the text in quotes"),
        ("a: 'x\n", "close the quote"),
        ("a: [1, 2\n", "close the bracket"),
        ("---\na: 1\n---\nb: 2\n", "line 3, column 1: .*several documents"),
        (BOMB, "aliases make more than 100,000 values"),
        ("a: &a [*a]\n", "an alias stands inside what it names"),
        ("a: &a {b: *a}\n", "an alias stands inside what it names"),
        ("a: *b\n", "undefined alias 'b'"),
        ("a: !!python/object/apply:os.system [ls]\n", "the tag !!python.* is not read"),
        ("!!python/object:x.Y {}\n", "the tag !!python.* is not read"),
        ("a: !mine 1\n", "the tag !mine is not read"),
        ("a: !!binary aGk=\n", "the tag !!binary is not read"),
        ("a: !!int x\n", "'x' is no int"),
        ("a: " + "9" * 5000, "the number is too long"),
        ("[" * 10_000, "nested more than 50 deep"),
        ("- " * 10_000, "nested more than 50 deep"),
        ("a: \x00\n", r"line 1: the character '\\x00' is not allowed"),
        ("a: 1\nb: \x07\n", r"line 2: the character '\\x07' is not allowed"),
        ("? [a]\n: 1\n", "a key must be a name, got a list"),
        ("{a: 1}: 2\n", "a key must be a name"),
        ("'': 2\n", "a key must be a name, got nothing"),
        ("- a\n", "must hold keys and values, got a list"),
        ("12\n", "must hold keys and values, got 12"),
    ],
)
def test_a_fault_is_one_line_with_its_place_and_what_to_do(
    tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says) as caught:
        load_yaml(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_a_file_may_have_the_encoding_and_line_ends_of_any_editor(
    tmp_path: Path, encoding: str, newline: str
) -> None:
    path = tmp_path / "settings.yaml"
    text = "lr: 1e-3\ndevice: cpu # größer\n"
    path.write_bytes(text.replace("\n", newline).encode(encoding))
    assert load_yaml(path) == {"lr": 1e-3, "device": "cpu"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\x89PNG\r\n\x1a\n", "it is a picture"),
        (b"PK\x03\x04xx", "it is a spreadsheet or another ZIP file"),
        ("lr: 1\n# größer\n".encode("latin-1"), "line 2: byte 0xf6 is not UTF-8"),
        (bytes(range(256)), "cannot be read as UTF-8 text"),
        (b"a: " + b"x" * 5_000_000, "larger than 4,000,000 bytes"),
    ],
)
def test_a_file_that_is_no_text_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=says):
        load_yaml(path)


@pytest.mark.parametrize("text", ["", "\n", "# all is commented out\n", "---\n", "null\n"])
def test_an_empty_file_is_an_empty_mapping(tmp_path: Path, text: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    assert load_yaml(path) == {}


def test_a_folder_in_place_of_a_file_is_named(tmp_path: Path) -> None:
    assert "it is a folder; give a file" in refusal(tmp_path)[0]


def test_an_endless_file_is_not_read_for_ever() -> None:
    with pytest.raises(ConfigError, match="larger than"):
        load_yaml(Path("/dev/zero"))


def test_parts_may_be_shared_by_anchors_and_merge_keys() -> None:
    text = "base: &b {x: 1, y: 2}\nsame: *b\nmore: {<<: *b, y: 3}\nlist:\n  <<: [*b, {z: 4}]\n"
    found = yaml_dialect.parse(text)
    assert found["same"] == {"x": 1, "y": 2}
    assert found["more"] == {"x": 1, "y": 3}
    assert found["list"] == {"x": 1, "y": 2, "z": 4}


def test_what_is_merged_twice_is_no_repeated_key() -> None:
    text = "a: &a {x: 1}\nb: &b {<<: *a, x: 2}\nc: {<<: *b, x: 3}\nd: *b\n"
    assert yaml_dialect.parse(text) == {
        "a": {"x": 1},
        "b": {"x": 2},
        "c": {"x": 3},
        "d": {"x": 2},
    }


# What is saved reads back

texts = st.text(max_size=30) | st.sampled_from([*TRICKY, "=", "<<", "1:30", "~", "", " a ", "- a"])
texts |= st.from_regex(r"[-+]?[0-9._:exob]{1,8}", fullmatch=True)
scalars = st.none() | st.booleans() | st.integers() | texts
scalars |= st.floats(allow_nan=False, allow_infinity=False)
keys = texts.filter(bool)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4)
)


def types(value: Any) -> Any:
    """The types in a value, since 1 == 1.0 == True."""
    if isinstance(value, dict):
        return {key: types(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [types(inner) for inner in value]
    return next(t for t in (bool, int, float, str, type(None)) if isinstance(value, t))


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(keys, values, max_size=5))
@example({"name": "1e5", "no": "0o7", "1": "0b1", "x": "1_0", "=": "=", "<<": "<<"})
@example({"x": 1e-05, "y": 1e300, "z": -0.0, "b": [True, None]})
def test_what_is_dumped_reads_back_equal_by_yaml_1_2_and_1_1(given: dict[str, Any]) -> None:
    text = yaml_dialect.dump(given)
    for found in (yaml_dialect.parse(text) or {}, yaml.safe_load(text) or {}):
        assert found == given
        assert types(found) == types(given)


names = st.from_regex(r"[0-9][A-Za-z0-9._-]{0,10}[A-Za-z0-9_-]", fullmatch=True) | st.sampled_from(
    [name for name in TRICKY if name not in ("null", "true", "no", "on", "off", "yes")]
)


@settings(deadline=None, max_examples=60)
@given(names, st.floats(1e-9, 1e9), st.integers(0, 2**62))
def test_settings_that_earlier_versions_saved_still_load(name: str, lr: float, seed: int) -> None:
    config = TrainConfig(checkpoint_name=name, lr=lr, seed=seed)
    saved = yaml.safe_dump(config.model_dump(mode="json", exclude_none=True), sort_keys=False)
    assert validate(TrainConfig, yaml_dialect.parse(saved), "saved") == config


def test_a_study_that_an_earlier_version_saved_still_loads(tmp_path: Path) -> None:
    study = load(study_file(tmp_path))
    saved = yaml.safe_dump(study.model_dump(mode="json", exclude_none=True), sort_keys=False)
    (tmp_path / "saved.yaml").write_text(saved)
    again = parse(load_yaml(tmp_path / "saved.yaml"), "saved.yaml")
    assert again == study
    assert changes(again, study) == []
