"""The registered model and its checkpoint, as other programs use them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sweep.study.config import StudyConfig
from sweep.tracking.client import RegistryError
from sweep.tracking.program import PicturesToTexture
from sweep.tracking.registry import fetch_checkpoint
from tests.sweep.tracking.tracked_runs import full_run, promote_run
from uvtex.runs.checkpoint import load


def test_the_model_loads_without_this_projects_code(study: StudyConfig, tmp_path: Path) -> None:
    """An isolated Python without this project loads the model by alias and applies it."""
    run_dir = full_run(study, 0, reach=0.66)
    promote_run(study, run_dir)
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (1, 2, 50, 90, 3), dtype=np.uint8)
    np.save(tmp_path / "in.npy", pictures)
    script = f"""
import sys, warnings
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("uvtex", "sweep"):
            raise ImportError(f"{{name}} is blocked")
sys.meta_path.insert(0, Block())
import mlflow, numpy as np
mlflow.set_tracking_uri({study.tracking_uri!r})
model = mlflow.pyfunc.load_model("models:/uvtex@champion")
np.save({str(tmp_path / "out.npy")!r}, model.predict(np.load({str(tmp_path / "in.npy")!r})))
many = model.predict(np.zeros((3, 1, 17, 31, 3), np.uint8))
assert many.shape == (3, 32, 32, 3) and many.dtype == np.uint8, (many.shape, many.dtype)
told = model.predict(np.zeros((3, 2, 17, 31, 3), np.uint8), params={{"report": True}})
assert (told["texture"] == many).all()
assert told["left_out"].tolist() == [["", "is the same picture as an earlier one"]] * 3, told
assert told["warnings"].tolist() == [["", ""]] * 3, told
assert not [name for name in sys.modules if name.split(".")[0] in ("uvtex", "sweep")]
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    ours = load(run_dir / "checkpoints" / "best.safetensors").predictor
    with torch.no_grad():
        expected = PicturesToTexture(ours, 32)(torch.from_numpy(pictures))[0].numpy()
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=1)


def test_the_model_declares_three_requirements_and_holds_no_pickle(study: StudyConfig) -> None:
    promote_run(study, full_run(study, 0, reach=0.66))
    folder = fetch(study).parent.parent
    declared = {
        line.split(">")[0].split("=")[0]
        for line in (folder / "requirements.txt").read_text().splitlines()
    }
    assert declared == {"mlflow", "numpy", "torch"}
    assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pth", ".pt")]
    assert (folder / "data" / "model.pt2").is_file()
    assert json.loads((folder / "input_example.json").read_text())


def fetch(study: StudyConfig, text: str = "models:/uvtex@champion") -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", study.tracking_uri)
        return fetch_checkpoint(text)


@pytest.mark.parametrize("text", ["models:/uvtex@champion", "models:/uvtex/1"])
def test_the_checkpoint_in_the_registry_equals_the_original(study: StudyConfig, text: str) -> None:
    run_dir = full_run(study, 0, reach=0.66)
    promote_run(study, run_dir)
    original = run_dir / "checkpoints" / "best.safetensors"
    assert fetch(study, text).read_bytes() == original.read_bytes()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models:/uvtex", "must be models:/NAME@ALIAS or models:/NAME/VERSION"),
        ("models:/uvtex/latest", "must be models:/NAME@ALIAS"),
        ("models:/uvtex@champion", "uvtex not found.*`sweep champion` says"),
        ("models:/nobody/3", "nobody.*`sweep champion` says"),
    ],
)
def test_an_unknown_model_uri_is_refused(study: StudyConfig, text: str, message: str) -> None:
    with pytest.raises(RegistryError, match=message):
        fetch(study, text)


def test_reading_the_registry_creates_no_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(RegistryError, match="there is no MLflow store"):
        fetch_checkpoint("models:/uvtex@champion")
    assert not list(tmp_path.iterdir())
