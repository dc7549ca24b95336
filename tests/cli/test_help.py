"""The help of every command, and the defaults that it shows."""

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from pydantic import BaseModel

import uvtex
from tests.cli.invoke import call
from uvtex.cli import main
from uvtex.config import NEW_TEST_SPLIT, PRESETS, Schedule, TrainConfig
from uvtex.showroom.settings import CarSettings, ShowroomSettings


def commands(group: click.Command, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(group, click.Group):
        return [path]
    return [path, *(p for name, c in group.commands.items() for p in commands(c, (*path, name)))]


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("path", commands(main), ids="-".join)
def test_every_command_has_help(path: tuple[str, ...], flag: str) -> None:
    result = call(*path, flag)
    assert result.exit_code == 0
    assert "Example" in result.output


def test_every_option_has_help() -> None:
    for path in commands(main):
        found: click.Command = main
        for name in path:
            assert isinstance(found, click.Group)
            found = found.commands[name]
        for option in found.params:
            if isinstance(option, click.Option):
                assert option.help, (path, option.name)


@pytest.mark.parametrize(
    "module",
    "ablations full_resolution kill masks misplaced oracles pair_store promotion.__main__ "
    "structure thresholds train".split(),
)
def test_every_benchmark_has_help(module: str) -> None:
    benchmark = importlib.import_module(f"benchmarks.{module}").main
    for path in commands(benchmark):
        result = CliRunner().invoke(benchmark, [*path, "-h"])
        assert result.exit_code == 0, result.output


def test_train_has_the_flags_that_scripts_use() -> None:
    expected = (
        "--epochs --batch-size --lr --lr-scheduler --lr-scheduler-tmax --image-size --val-split "
        "--seed --w-cycle --w-uv --w-direct --w-cross --w-cycle-end --w-uv-end --w-direct-end "
        "--w-cross-end --w-flow --w-render --checkpoint-name --checkpoint-every --preset "
        "--width --config --device --resume --force --json"
    ).split()
    known = {name for option in main.commands["train"].params for name in option.opts}
    assert set(expected) <= known


def help_of(command: str) -> dict[str, str]:
    """Setting -> help of its flag."""
    group, _, name = command.partition(" ")
    found = main.commands[group]
    options = (found.commands[name] if isinstance(found, click.Group) else found).params
    return {str(option.name): str(getattr(option, "help", "")) for option in options}


@pytest.mark.parametrize(
    ("command", "model", "without_value"),
    [
        ("train", TrainConfig, {"device", "test_split"}),  # a new run has its own test_split
        ("train", Schedule, {"lr_scheduler_tmax"}),
        ("showroom build", ShowroomSettings, {"texture_size", "template"}),
        ("showroom build", CarSettings, {"file", "paint_material", "unwrap"}),
    ],
)
def test_help_shows_the_default_of_every_setting(
    command: str, model: type[BaseModel], without_value: set[str]
) -> None:
    texts = help_of(command)
    settings = (model.model_fields.keys() & texts.keys()) - without_value
    assert settings
    for name in settings:
        default = model.model_fields[name].default
        text = f"{default:g}" if isinstance(default, float) else str(default)
        assert f"; {text} by default" in texts[name], name


def test_help_shows_the_defaults_of_presets() -> None:
    texts = help_of("train")
    for name, value in PRESETS["atlas"].items():
        if name in texts:
            assert f", {value:g} with preset atlas" in texts[name]
    assert "; 0.3 by default" in texts["w_cycle"]
    assert "with preset" not in texts["epochs"]


def test_help_shows_a_changed_default() -> None:
    code = (
        "import uvtex.config as config\n"
        "config.PRESETS['atlas'] |= {'lr': 0.125, 'epochs': 77}\n"
        "from uvtex.cli import main\n"
        "main(['train', '--help'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert "0.0002 by default, 0.125 with preset atlas" in text
    assert "40 by default, 77 with preset atlas" in text


def test_the_version_is_that_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = tomllib.loads((Path(uvtex.__file__).parents[1] / "pyproject.toml").read_text())
    assert uvtex.__version__ == declared["project"]["version"]
    assert call("--version").output.strip().endswith(uvtex.__version__)
    monkeypatch.setattr("importlib.metadata.version", lambda package: f"{package} 9")
    assert uvtex.__version__ == "uvtex-sweep 9"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = uvtex.nothing  # type: ignore[attr-defined]


def test_help_shows_the_test_side_of_a_new_run() -> None:
    assert f"; {NEW_TEST_SPLIT:g} by default" in help_of("train")["test_split"]
