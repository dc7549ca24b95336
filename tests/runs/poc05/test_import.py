"""The original's .pt files: read without running them, and converted."""

import argparse
import builtins
import json
import os
import pathlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image
from torch import Tensor, nn

from uvtex.cli import main
from uvtex.errors import CheckpointError
from uvtex.models import ConvRenderer, UNet
from uvtex.runs import checkpoint
from uvtex.runs.poc05.matching import Misfit, match
from uvtex.runs.poc05.pt_file import read_original


class FromWindows:
    """Pickles as a path does on Windows, where alone it can be made."""

    def __reduce__(self) -> tuple[Any, ...]:
        return pathlib.WindowsPath, ("C:\\", "liveries", "poc results")


class TheirUNet(nn.Module):
    """The same network as somebody else would write it: other names, each layer an attribute."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        c = [3, 64, 128, 256, 512]
        for i in range(4):
            setattr(self, f"enc{i}", nn.Conv2d(c[i], c[i + 1], 4, 2, 1, bias=bias or i == 0))
            if i:
                setattr(self, f"enc{i}_bn", nn.BatchNorm2d(c[i + 1]))
        for i, wide in ((4, 512), (3, 512), (2, 256), (1, 128)):
            setattr(
                self, f"dec{i}", nn.ConvTranspose2d(wide, c[i - 1], 4, 2, 1, bias=bias or i < 2)
            )
            if i > 1:
                setattr(self, f"dec{i}_bn", nn.BatchNorm2d(c[i - 1]))

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for i in range(4):
            x = getattr(self, f"enc{i}")(x)
            x = (getattr(self, f"enc{i}_bn")(x) if i else x).relu()
            skips.append(x)
        skips.pop()
        for i in (4, 3, 2, 1):
            x = getattr(self, f"dec{i}")(x)
            x = getattr(self, f"dec{i}_bn")(x).relu() if i > 1 else x.tanh()
            x = torch.cat([x, skips.pop()], 1) if skips else x
        return x


def scramble(network: nn.Module) -> nn.Module:
    """Gives every number a value of its own, statistics and counters too."""
    generator = torch.Generator().manual_seed(5)
    for value in network.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator) * 0.2 + 0.05)
        else:
            value.fill_(17)
    return network.eval()


@pytest.fixture(scope="module")
def networks() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(3)
    renderer = nn.Sequential()  # keys "c0.weight" ..., where ours are "layers.0.weight" ...
    for number, layer in enumerate(ConvRenderer().layers):
        renderer.add_module(f"c{number}", layer)
    return scramble(TheirUNet()), renderer


def content(networks: tuple[nn.Module, nn.Module], **changes: Any) -> dict[str, Any]:
    args = {"image_size": 32, "val_split": 0.34, "epochs": 40, "w_uv": 0.45, "w_uv_end": 0.25}
    return {
        "uv": networks[0].state_dict(),
        "renderer": networks[1].state_dict(),
        "metrics": {"total": 0.285, "ssim_uv": np.float64(0.257), "lpips_view": np.float32(0.5)},
        "weights": {"uv": 0.25, "cycle": 0.3},
        "epoch": 39,
        "args": {**args, "out": FromWindows(), "data": Path("/data/set"), "w_cross_end": None},
        **changes,
    }


def call(*args: Any) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_an_imported_checkpoint_gives_the_output_of_the_original(
    networks: tuple[nn.Module, nn.Module],
) -> None:
    torch.save(content(networks), "o.pt")
    result = call("snapshots", "import", "o.pt", "runs/o/checkpoints/o.safetensors")
    assert result.exit_code == 0, result.output
    assert "ssim_uv 0.2570" in result.stdout
    assert "by its own definitions" in result.stdout
    loaded = checkpoint.load(Path("runs/o/checkpoints/o.safetensors"))
    view = torch.rand(2, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        texture = networks[0](view)
        torch.testing.assert_close(loaded.predictor(view), texture)
        expected = texture
        for number, layer in enumerate(networks[1]):
            expected = layer(expected)
            assert number < 12
        torch.testing.assert_close(loaded.renderer(texture), expected)
    assert loaded.predictor.down[1][1].num_batches_tracked.item() == 17
    assert (loaded.header.epoch, loaded.header.metrics) == (39, {})
    config = loaded.config
    assert (config.preset, config.image_size, config.val_split) == ("poc05", 32, 0.34)
    assert config.schedule.uv.model_dump() == {"start": 0.45, "end": 0.25}
    assert config.schedule.cross.end is None


def test_the_metrics_of_the_original_are_kept_separately(
    networks: tuple[nn.Module, nn.Module],
) -> None:
    torch.save(content(networks), "o.pt")
    call("snapshots", "import", "o.pt", "runs/o/checkpoints/o.safetensors")
    original = checkpoint.read_header(Path("runs/o/checkpoints/o.safetensors")).original
    assert original is not None
    assert original.metrics == {"total": 0.285, "ssim_uv": 0.257, "lpips_view": 0.5}
    assert original.weights == {"uv": 0.25, "cycle": 0.3}
    assert original.args["out"] == "C:/liveries/poc results"
    assert original.args["data"] == "/data/set"
    ((row,),) = [
        r["checkpoints"] for r in json.loads(call("snapshots", "list", "o", "--json").stdout)
    ]
    assert (row["kind"], row["metrics"], row["original"]) == (
        "best",
        {},
        original.model_dump(),
    )
    assert "the original recorded total 0.2850" in call("snapshots", "list", "o").stdout


def test_evaluate_and_infer_accept_an_imported_checkpoint(
    networks: tuple[nn.Module, nn.Module], tiny_set: Path
) -> None:
    torch.save(content(networks, args=argparse.Namespace(image_size=32, out=FromWindows())), "o.pt")
    assert call("snapshots", "import", "o.pt", "o.safetensors").exit_code == 0
    result = call("evaluate", "o.safetensors", "--data", tiny_set, "--json")
    assert result.exit_code == 0, result.output
    assert "ssim_uv" in result.stdout
    Image.new("RGB", (40, 40), (200, 0, 0)).save("p.png")
    result = call("infer", "o.safetensors", "p.png", "--out", "textures")
    assert result.exit_code == 0, result.output
    with Image.open("textures/p_uv.png") as texture:
        assert texture.size == (32, 32)


def test_an_import_never_overwrites_without_force(networks: tuple[nn.Module, nn.Module]) -> None:
    torch.save(content(networks, args={}), "o.pt")
    Path("o.safetensors").write_bytes(b"mine")
    result = call("snapshots", "import", "o.pt", "o.safetensors")
    assert result.exit_code == 1
    assert "--force" in result.stderr
    assert Path("o.safetensors").read_bytes() == b"mine"
    result = call("snapshots", "import", "o.pt", "o.safetensors", "--force")
    assert "256 px (not recorded" in result.stdout
    assert checkpoint.read_header(Path("o.safetensors")).epoch == 39


class Calls:
    """Pickles as a call of ``function``."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self.call = function, args

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def wicked() -> dict[str, Calls]:
    return {
        "system": Calls(os.system, "touch ran"),
        "eval": Calls(builtins.eval, "open('ran', 'w')"),
        "getattr": Calls(getattr, Path, "touch"),
        "numpy": Calls(np.load, "ran"),
        "touch": Calls(pathlib.Path.touch, Path("ran")),
    }


@pytest.mark.parametrize("name", list(wicked()))
@pytest.mark.parametrize("place", ["whole", "args", "uv"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_malicious_file_is_refused_and_nothing_in_it_runs(
    name: str, place: str, zipped: bool
) -> None:
    evil: Any = wicked()[name]
    body = {"args": {"args": argparse.Namespace(x=evil)}, "uv": {"uv": {"w": evil}}}
    torch.save(body.get(place, evil), "o.pt", _use_new_zipfile_serialization=zipped)
    result = call("snapshots", "import", "o.pt", "o.safetensors")
    assert result.exit_code == 1
    assert "nothing in it was run" in result.stderr
    if zipped:
        assert "refused, it asks to call" in result.stderr
    assert "weights_only" not in result.stderr  # torch's own advice is to switch the check off
    assert "Traceback" not in result.output
    assert not Path("ran").exists()
    assert not Path("o.safetensors").exists()


def test_the_malicious_files_would_run_if_they_were_unpickled() -> None:
    """Else the test above could not fail."""
    torch.save(wicked()["system"], "o.pt")
    torch.load("o.pt", weights_only=False)
    assert Path("ran").exists()


def holds_itself() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"uv": None}, "has no state dict uv"),
        ({"uv": {"w": 3}}, "no plain tensor"),
        ({"uv": {"w": torch.eye(3).to_sparse()}}, "no plain tensor"),
        ({"uv": {"w": torch.empty(3, device="meta")}}, "no plain tensor"),
        ({"args": {"image_size": 33}}, "image_size"),
        ({"args": {"image_size": "large"}}, "image_size"),
        ({"args": {"x": holds_itself()}}, "hold themselves"),
        ({"uv": UNet(0.5).state_dict()}, "'uv' does not fit preset 'poc05': down.0.0"),
        ({"renderer": nn.Linear(3, 4).state_dict()}, "'renderer' does not fit"),
        (
            {"renderer": nn.ModuleList([ConvRenderer(), nn.Linear(1, 1)]).state_dict()},
            "has more layers",
        ),
    ],
)
def test_a_file_with_the_wrong_content_is_refused_with_one_message(
    networks: tuple[nn.Module, nn.Module], change: dict[str, Any], says: str
) -> None:
    torch.save(content(networks, **change), "o.pt")
    result = call("snapshots", "import", "o.pt", "o.safetensors")
    assert result.exit_code == 1, result.output
    assert says in result.stderr
    assert "o.pt" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not Path("o.safetensors").exists()


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"text", lambda b: b[9:]]
)
def test_a_damaged_file_is_named(
    networks: tuple[nn.Module, nn.Module], damage: Callable[[bytes], bytes]
) -> None:
    torch.save(content(networks), "o.pt")
    Path("o.pt").write_bytes(damage(Path("o.pt").read_bytes()))
    with pytest.raises(CheckpointError, match=r"o\.pt: cannot be read as a checkpoint of torch"):
        read_original(Path("o.pt"))


def test_a_plain_pickle_and_a_missing_file_are_named() -> None:
    Path("o.pt").write_bytes(pickle.dumps({"uv": {}, "renderer": {}}))
    with pytest.raises(CheckpointError, match=r"o\.pt"):
        read_original(Path("o.pt"))
    with pytest.raises(CheckpointError, match="no such file"):
        read_original(Path("none.pt"))
    assert call("snapshots", "import", "none.pt", "o.pt").stderr.count("end in .safetensors") == 1


def test_convolutions_without_a_bias_get_a_bias_of_zero() -> None:
    theirs = scramble(TheirUNet(bias=False))
    ours = UNet().eval()
    ours.load_state_dict(match(ours.state_dict(), theirs.state_dict()))
    view = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours(view), theirs(view))


def test_a_batch_norm_is_matched_to_the_convolution_before_it() -> None:
    """Also where the decoder is declared before the encoder."""
    theirs = scramble(TheirUNet()).state_dict()
    swapped = {k: v for half in ("dec", "enc") for k, v in theirs.items() if k.startswith(half)}
    ours = UNet().state_dict()
    found, expected = match(ours, swapped), match(ours, theirs)
    assert found.keys() == ours.keys()
    assert all(torch.equal(found[key], expected[key]) for key in ours)


def test_half_precision_becomes_single_and_counters_may_be_missing() -> None:
    ours = UNet().state_dict()
    theirs = {
        key: value.half()
        for key, value in scramble(TheirUNet()).state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    assert {v.dtype for v in match(ours, theirs).values()} == {torch.float32, torch.int64}
    with pytest.raises(Misfit, match="weight 128, bias 128, running_mean 128"):
        match(ours, {k: v for k, v in theirs.items() if not k.startswith("enc1_bn")})
