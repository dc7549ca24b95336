"""The command line: help of every command, one message for bad input, and one training run."""

import importlib
import json
import os
import subprocess
import sys
import tomllib
from functools import partial
from pathlib import Path
from typing import Any

import click
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image
from pydantic import BaseModel

import uvtex
from uvtex.cli import main
from uvtex.config import PRESETS, Schedule, TrainConfig
from uvtex.showroom.settings import CarSettings, ShowroomSettings

TRAIN = ["--image-size", "32", "--width", "0.1", "--epochs", "1", "--val-split", "0.34"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def call(*args: Any) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


@pytest.fixture
def trained(tiny_set: Path) -> Path:
    result = call("train", tiny_set, *TRAIN)
    assert result.exit_code == 0, result.output
    return Path("runs/best/checkpoints/best.safetensors")


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


def test_every_option_says_what_it_does() -> None:
    for path in commands(main):
        found: click.Command = main
        for name in path:
            assert isinstance(found, click.Group)
            found = found.commands[name]
        for option in found.params:
            if isinstance(option, click.Option):
                assert option.help, (path, option.name)


@pytest.mark.parametrize(
    "module", "ablations kill masks oracles pair_store structure thresholds train".split()
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
        ("train", TrainConfig, {"device"}),
        ("train", Schedule, {"lr_scheduler_tmax"}),
        ("showroom build", ShowroomSettings, {"texture_size", "template"}),
        ("showroom build", CarSettings, {"file", "paint_material", "unwrap"}),
    ],
)
def test_help_has_the_default_of_every_setting(
    command: str, model: type[BaseModel], without_value: set[str]
) -> None:
    texts = help_of(command)
    settings = (model.model_fields.keys() & texts.keys()) - without_value
    assert settings
    for name in settings:
        default = model.model_fields[name].default
        text = f"{default:g}" if isinstance(default, float) else str(default)
        assert f"; {text} by default" in texts[name], name


def test_help_has_the_defaults_of_presets() -> None:
    texts = help_of("train")
    for name, value in PRESETS["atlas"].items():
        if name in texts:
            assert f", {value:g} with preset atlas" in texts[name]
    assert "; 0.3 by default" in texts["w_cycle"]
    assert "with preset" not in texts["epochs"]


def test_help_follows_a_default_that_changes() -> None:
    code = (
        "import uvtex.config as config\n"
        "config.PRESETS['atlas'] |= {'lr': 0.125, 'epochs': 77}\n"
        "from uvtex.cli import main\n"
        "main(['train', '--help'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "0.0002 by default, 0.125 with preset atlas" in said
    assert "40 by default, 77 with preset atlas" in said


def test_the_version_is_that_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = tomllib.loads((Path(uvtex.__file__).parents[1] / "pyproject.toml").read_text())
    assert uvtex.__version__ == declared["project"]["version"]
    assert call("--version").output.strip().endswith(uvtex.__version__)
    monkeypatch.setattr("importlib.metadata.version", lambda package: f"{package} 9")
    assert uvtex.__version__ == "uvtex-sweep 9"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = uvtex.nothing  # type: ignore[attr-defined]


@pytest.mark.parametrize("module", ["uvtex.cli", "sweep.cli"])
def test_help_imports_nothing_heavy(module: str) -> None:
    code = (
        f"import sys\nfrom {module} import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'mlflow', 'optuna', 'mitsuba'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_uvtex_imports_neither_optuna_nor_mlflow(tiny_set: Path) -> None:
    code = (
        "import sys\nfrom uvtex.cli import main\n"
        f"try: main(['train', {str(tiny_set)!r}, *{TRAIN!r}])\n"
        "except SystemExit as e: code = e.code\n"
        "heavy = {'mlflow', 'optuna'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_train_then_evaluate_grid_and_infer(tiny_set: Path, trained: Path) -> None:
    result = call("evaluate", trained, "--data", tiny_set, "--json")
    rows = json.loads(result.stdout)["rows"]
    reported = json.loads(Path("runs/best/epochs.jsonl").read_text())["val"]
    assert rows[str(trained)]["ssim_uv"] == pytest.approx(reported["ssim_uv"], abs=1e-5)
    assert "ssim_uv" in rows["(a texture of its mean colour)"]

    table = call("evaluate", trained, "--data", tiny_set)
    assert table.exit_code == 0
    assert "haarpsi_view" in table.output

    assert call("grid", trained, "--data", tiny_set, "--out", "grids", "--count", 2).exit_code == 0
    sheets = sorted(Path("grids").iterdir())
    assert [sheet.name for sheet in sheets] == ["sample_000.png", "sample_001.png"]
    with Image.open(sheets[0]) as sheet:
        assert -1 <= float(sheet.text["ssim_uv"]) <= 1
        assert sheet.width == 6 * 192

    photo = Path("photo of a car.jpg")
    Image.new("RGB", (90, 50), (200, 0, 0)).save(photo)
    assert call("infer", trained, photo, "--out", "textures").exit_code == 0
    for kind in ("uv", "reproj"):
        with Image.open(f"textures/photo of a car_{kind}.png") as picture:
            assert picture.size == (32, 32)


def test_train_prints_the_paths_as_json(tiny_set: Path) -> None:
    result = call("train", tiny_set, *TRAIN, "--json", "--checkpoint-name", "x")
    answer = json.loads(result.stdout)
    assert Path(answer["checkpoint"]).is_file()
    assert answer["best"]["epoch"] == 1


def test_flags_override_the_settings_file(tiny_set: Path) -> None:
    Path("s.yaml").write_text("epochs: 7\nschedule: {uv: {start: 0.5, end: 0.2}}\n")
    flags = ["--config", "s.yaml", "--w-uv", "0.4", "--w-cross-end", "0.3"]
    result = call("train", tiny_set, *TRAIN, *flags)
    assert result.exit_code == 0, result.output
    settings = Path("runs/best/config.yaml").read_text()
    assert "epochs: 1" in settings
    assert "start: 0.4\n    end: 0.2" in settings
    assert "start: 0.15\n    end: 0.3" in settings


def test_a_second_run_is_refused_and_resume_continues(tiny_set: Path, trained: Path) -> None:
    again = call("train", tiny_set, *TRAIN)
    assert again.exit_code == 1
    assert "--resume" in again.stderr
    assert call("train", tiny_set, *TRAIN, "--resume").exit_code == 0


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["train", "nowhere"], 1, "no manifest.json"),
        (["train", "SET", "--epochs", "0"], 2, "epochs"),
        (["train", "SET", "--epochs", "ten"], 2, "--epochs"),
        (["train", "SET", "--w-uv", "-1"], 2, "schedule.uv.start"),
        (["train", "SET", "--w-uv", "nan"], 2, "schedule.uv.start"),
        (["train", "SET", "--image-size", "33"], 2, "multiple of 16"),
        (["train", "SET", "--config", "none.yaml"], 2, "no such file"),
        (["train", "SET", "--preset", "poc06"], 2, "preset"),
        (["train", "SET", "--device", "cuda:99"], 2, "device 'cuda:99': PyTorch"),
        (["train", "SET", "--lr-scheduler", "linear"], 2, "linear"),
        (["evaluate", "none.safetensors", "--data", "SET"], 1, "no such checkpoint"),
        (["grid", "none.safetensors", "--data", "SET", "--out", "o"], 1, "no such checkpoint"),
        (["infer", "none.safetensors", "x.png", "--out", "o"], 1, "no such checkpoint"),
        (["infer", "ftp:/x", "x.png", "--out", "o"], 1, "ftp:/"),
        (["infer", "BEST", "none.png", "--out", "o"], 1, "no such picture"),
        (["infer", "BEST", "x.png", "x.png", "--out", "o"], 2, "given twice"),
        (["infer", "BEST", "--out", "o"], 2, "PHOTOS"),
    ],
)
def test_bad_input_gets_one_message_and_its_exit_code(
    tiny_set: Path, request: pytest.FixtureRequest, args: list[str], code: int, says: str
) -> None:
    names = {"SET": str(tiny_set)}
    if "BEST" in args:
        names["BEST"] = str(request.getfixturevalue("trained"))
    result = call(*(names.get(arg, arg) for arg in args))
    assert result.exit_code == code
    assert says in result.stderr
    assert "Traceback" not in result.output
    assert not Path("o").exists()


def test_a_picture_of_one_pixel_is_refused(trained: Path) -> None:
    Image.new("RGB", (1, 1)).save("dot.png")
    result = call("infer", trained, "dot.png", "--out", "o")
    assert result.exit_code == 1
    assert "1x1 pixels" in result.stderr


def test_a_read_only_target_is_named(trained: Path) -> None:
    Path("o").write_text("a file is in the way")
    Image.new("RGB", (20, 20)).save("p.png")
    result = call("infer", trained, "p.png", "--out", "o")
    assert result.exit_code == 1
    assert "o: cannot be made a folder" in result.stderr


@pytest.mark.parametrize("name", ["cpu", "auto"])
def test_devices_by_name(name: str) -> None:
    from uvtex.device import resolve_device

    expected = "cuda" if name == "auto" and torch.cuda.is_available() else "cpu"
    assert resolve_device(name).type == expected


def test_ctrl_c_ends_train_without_a_traceback(tiny_set: Path) -> None:
    import signal

    command = [sys.executable, "-m", "uvtex", "train", str(tiny_set), *TRAIN, "--epochs", "500"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        # A background job of a shell has Ctrl-C ignored, and so have its children.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("epoch 2/"):
                break
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "--resume" in err
