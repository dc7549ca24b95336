"""A ``device`` setting means one GPU, in every command and every worker, or is refused."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from sweep.cli import main as sweep_main
from sweep.launchers.base import Job
from sweep.launchers.local import local_slots
from sweep.launchers.training import train
from sweep.study.file import changes
from tests.inference.small_model import save_checkpoint
from tests.sweep.fakes import study, study_file
from uvtex.cli import main as uvtex_main
from uvtex.config import TrainConfig, resolve
from uvtex.device import gpu_count, resolve_device
from uvtex.device_names import DeviceName, Place, check, places, problem
from uvtex.errors import ConfigError
from uvtex.runs.folder import RunFolder
from uvtex.thresholds import Threshold

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="a machine without a GPU")


def call(command: Any, *args: object) -> Result:
    return CliRunner().invoke(command, [str(arg) for arg in args])


def refusal(name: str, count: int, **environment: str) -> str:
    with pytest.raises(ConfigError) as caught:
        check(DeviceName.parse(name), count, environment, "9.9+cu99")
    return str(caught.value)


# -- what the setting may say


@pytest.mark.parametrize(
    "name", ["auto", "cpu", "cpu:0", "cuda", "cuda:0", "cuda:12", "mps", "xpu:1"]
)
def test_a_device_that_pytorch_knows_is_accepted(name: str) -> None:
    assert problem(name) is None
    assert TrainConfig(device=name).device == name


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("CUDA", "cuda"),
        ("gpu", "cuda"),
        ("GPU:1", "cuda:1"),
        ("0", "cuda:0"),
        (1, "cuda:1"),
        ("cuda:01", "cuda:1"),
        ("cuda:00", "cuda:0"),
        ("cuda1", "cuda:1"),
        ("cuda 10", "cuda:10"),
        ("cuda:", "cuda"),
        (" cpu", "cpu"),
        ("cpu:1", "cpu"),
        ("rocm", "cuda"),
        ("hip:1", "cuda:1"),
        ("Auto", "auto"),
    ],
)
def test_a_device_in_other_words_is_refused_with_what_was_meant(name: Any, meant: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"did you mean {meant!r}?")) as caught:
        resolve({"device": name})
    assert str(caught.value).startswith("settings: device: must be auto, cpu, cuda, cuda:0")


@pytest.mark.parametrize(
    "name", ["", " ", "meta", "cuda:-1", "cuda:1.5", "cuda:1,2", "tpu", "cuda:\uff11"]
)
def test_a_device_that_trains_nothing_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="must be auto, cpu, cuda"):
        resolve({"device": name})
    with pytest.raises(ConfigError, match="must be auto, cpu, cuda"):
        resolve_device(name)


@given(st.text(max_size=12) | st.from_regex(r"(auto|cpu|cuda|mps|xpu|meta):?-?[0-9]{0,12}"))
def test_any_text_is_a_device_of_pytorch_or_refused(name: str) -> None:
    if problem(name) is None:
        assert (
            name == "auto"
            or str(DeviceName.parse(name).kind) == torch.device(re.sub(r":\d+", "", name)).type
        )
    else:
        with pytest.raises(ConfigError):
            DeviceName.parse(name)


# -- a GPU that is not there


def test_a_gpu_beyond_the_last_is_refused_and_those_that_are_there_are_named() -> None:
    assert refusal("cuda:7", 2) == (
        "device 'cuda:7': PyTorch sees 2 GPUs here, cuda:0 to cuda:1; use one of them, auto or cpu"
    )


def test_a_number_of_the_whole_machine_is_refused_where_a_variable_hides_gpus() -> None:
    assert refusal("cuda:3", 1, CUDA_VISIBLE_DEVICES="3") == (
        "device 'cuda:3': PyTorch sees 1 GPU here, cuda:0 (CUDA_VISIBLE_DEVICES='3'), and counts "
        "those from 0; use that one, auto or cpu"
    )


@pytest.mark.parametrize("hidden", ["", "-1", "NoDevFiles", "GPU-gone"])
def test_a_gpu_that_a_variable_hides_is_refused_with_that_variable(hidden: str) -> None:
    message = refusal("cuda", 0, CUDA_VISIBLE_DEVICES=hidden)
    assert f"PyTorch (9.9+cu99) sees no cuda GPU here (CUDA_VISIBLE_DEVICES={hidden!r})" in message


def test_amds_variables_are_named_too() -> None:
    assert "(HIP_VISIBLE_DEVICES='1')" in refusal("cuda:1", 1, HIP_VISIBLE_DEVICES="1")


@no_gpu
@pytest.mark.parametrize("name", ["cuda", "cuda:1", "mps", "xpu", "xpu:3"])
def test_a_gpu_that_the_machine_lacks_is_refused_by_every_command(
    name: str, tmp_path: Path, tiny_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = study_file(tmp_path, train={"image_size": 32, "device": name})
    save_checkpoint(Path("best.safetensors"), None)
    results = [
        call(sweep_main, "run", path, "--dry-run"),
        call(sweep_main, "run", path),
        call(uvtex_main, "train", tiny_set, "--device", name),
        call(uvtex_main, "infer", "best.safetensors", "p.png", "--out", "o", "--device", name),
        call(uvtex_main, "evaluate", "best.safetensors", "--data", tiny_set, "--device", name),
    ]
    for result in results:
        assert result.exit_code == 2, result.output
        assert f"device {name!r}: PyTorch ({torch.__version__}) sees no {name[:3]}" in result.output
        assert "Traceback" not in result.output
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "o").exists()
    assert not (tmp_path / "store/studies/made-up/trials").exists()


@no_gpu
def test_pytorch_itself_sees_no_gpu_of_any_kind() -> None:
    assert [gpu_count(kind) for kind in ("cuda", "xpu")] == [0, 0]
    assert resolve_device("auto") == resolve_device("cpu:0") == torch.device("cpu")


# -- what a worker is told


@pytest.mark.parametrize(
    "visible", [None, "3,1", " 3 , 1 ", "GPU-1a2b,GPU-3c4d", "0,1,-1", "MIG-1a"]
)
def test_every_worker_sees_the_drivers_gpus_and_is_told_one_of_them(visible: str | None) -> None:
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    for name in ("cuda", "auto"):
        found = places(DeviceName.parse(name), 2, environment)
        assert found == [Place("cuda:0"), Place("cuda:1")]


def test_a_worker_with_its_own_gpu_is_told_that_number() -> None:
    assert places(DeviceName.parse("cuda:1"), 2, {}) == [Place("cuda:1")]
    assert places(DeviceName.parse("cuda:0"), 1, {"CUDA_VISIBLE_DEVICES": "3"}) == [Place("cuda:0")]


def test_each_part_of_a_gpu_gets_a_worker_that_sees_it_alone() -> None:
    environment = {"CUDA_VISIBLE_DEVICES": "MIG-1a, MIG-2b"}
    assert places(DeviceName.parse("auto"), 1, environment) == [
        Place("cuda:0", {"CUDA_VISIBLE_DEVICES": "MIG-1a"}),
        Place("cuda:0", {"CUDA_VISIBLE_DEVICES": "MIG-2b"}),
    ]


def test_the_gpus_of_intel_and_apple_are_told_as_they_are_asked_for() -> None:
    assert places(DeviceName.parse("xpu"), 2, {}) == [Place("xpu:0"), Place("xpu:1")]
    assert places(DeviceName.parse("mps"), 1, {}) == [Place("mps:0")]


@given(
    st.sampled_from(["auto", "cpu", "cpu:0", "cuda", "mps", "xpu"])
    | st.integers(0, 9).map(lambda n: f"cuda:{n}"),
    st.integers(0, 8),
    st.dictionaries(
        st.sampled_from(["CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"]),
        st.lists(st.sampled_from(["0", "7", " 1", "-1", "", "GPU-x", "MIG-y", "NoDevFiles"])).map(
            ",".join
        ),
    ),
)
def test_a_device_that_passed_is_one_that_the_worker_can_see(
    name: str, count: int, environment: dict[str, str]
) -> None:
    asked = DeviceName.parse(name)
    try:
        check(asked, count, environment, "9.9")
    except ConfigError:
        assert asked.kind in ("cuda", "mps", "xpu")
        assert (asked.index or 0) >= count
        return
    for place in places(asked, count, environment):
        told = DeviceName.parse(place.device)
        assert told.kind == (asked.gpu_kind if asked.gpu_kind and count else "cpu")
        assert (told.index or 0) < max(1, 1 if place.environment else count)


def test_a_worker_trains_on_its_device_and_its_settings_keep_the_users(
    tiny_set: Path, tmp_path: Path
) -> None:
    config = TrainConfig(
        epochs=1, image_size=32, width=0.1, val_split=0.34, device="cuda:1",
        thresholds=(Threshold(metric="ssim_uv", at_least=0.5),),
    )  # fmt: skip
    one = Job(config.model_dump(mode="json"), str(tiny_set), str(tmp_path), True, 0, "cpu")
    assert [report["epoch"] for report in train(one, print)] == [1]
    settings = RunFolder(tmp_path).read_settings()
    assert settings is not None
    assert settings.device == "cuda:1"


@no_gpu
def test_slots_without_a_gpu_are_on_the_cpu() -> None:
    for name in ("auto", "cpu", "cpu:0"):
        assert [slot.device for slot in local_slots(name, 2)] == ["cpu", "cpu"]


def test_a_study_may_go_on_with_another_device(tmp_path: Path) -> None:
    there = study(tmp_path, train={"image_size": 32, "device": "cuda:1"})
    assert changes(there, study(tmp_path)) == []


def test_watching_a_study_does_not_load_pytorch(tmp_path: Path) -> None:
    path = study_file(tmp_path, train={"image_size": 32})
    sweep_main(["run", str(path), "--dry-run"], standalone_mode=False)
    code = (
        "import sys\nfrom sweep.cli import main\n"
        f"main(['status', 'made-up', '--store', {str(tmp_path / 'store')!r}], "
        "standalone_mode=False)\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr
