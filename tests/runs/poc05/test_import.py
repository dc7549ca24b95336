"""`uvtex snapshots import`: the original's checkpoints converted."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

from tests.runs.poc05.original import FromWindows, call, content
from uvtex.models import ConvRenderer, UNet
from uvtex.runs import checkpoint
from uvtex.runs.header import read_header

pytestmark = pytest.mark.usefixtures("in_tmp_path")


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
    original = read_header(Path("runs/o/checkpoints/o.safetensors")).original
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
    assert read_header(Path("o.safetensors")).epoch == 39


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
