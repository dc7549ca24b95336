"""The commands on a tiny set: training, evaluation, inference, and one message for bad input."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.cli.invoke import TRAIN, call
from tests.sets import make_set

pytestmark = pytest.mark.usefixtures("in_tmp_path")


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
    figures = json.loads(Path("runs/x/test.json").read_text())
    assert answer["test"] == figures["metrics"]
    assert len(figures["by_livery"]) == 1  # of six, a tenth


def test_train_prints_the_test_side_below_validation(tiny_set: Path) -> None:
    result = call("train", tiny_set, *TRAIN, "--test-split", "0.34")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith("best epoch"))
    assert lines[place + 2].startswith("test side (2 liveries, unseen till now), margin ")
    assert lines[place + 3].startswith("  ssim_uv 0.")


def test_a_run_may_have_no_test_side(tiny_set: Path) -> None:
    result = call("train", tiny_set, *TRAIN, "--test-split", "0")
    assert result.exit_code == 0, result.output
    assert "test side" not in result.stdout
    assert not Path("runs/best/test.json").exists()


def without_test_side(settings: Path) -> None:
    """Makes ``settings`` what a version without a test side saved."""
    text = settings.read_text()
    settings.write_text(text.replace("test_split: 0.0\n", ""))
    assert settings.read_text() != text


def test_a_run_of_before_goes_on_without_a_test_side(tiny_set: Path) -> None:
    assert call("train", tiny_set, *TRAIN, "--test-split", "0").exit_code == 0
    settings = Path("runs/best/config.yaml")
    without_test_side(settings)
    resumed = call("train", tiny_set, *TRAIN, "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert "test_split: 0.0" in settings.read_text()


def test_the_saved_settings_of_a_run_of_before_repeat_it(tiny_set: Path) -> None:
    assert call("train", tiny_set, *TRAIN, "--test-split", "0").exit_code == 0
    settings = Path("runs/best/config.yaml")
    without_test_side(settings)
    flags = ["--config", settings, "--checkpoint-name", "again"]
    result = call("train", tiny_set, *flags, "--json")
    assert result.exit_code == 0, result.output
    assert "test_split: 0.0" in Path("runs/again/config.yaml").read_text()


def test_a_set_too_small_for_a_test_side_says_so(tmp_path: Path) -> None:
    small = make_set(tmp_path / "small", liveries=2)
    result = call("train", small, *TRAIN)
    assert result.exit_code == 1
    assert "needs 10 liveries" in result.stderr
    assert "set test_split to 0" in result.stderr
    assert call("train", small, *TRAIN, "--test-split", "0").exit_code == 0


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
def test_a_device_is_resolved_by_its_name(name: str) -> None:
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
