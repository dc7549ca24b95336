"""The gate: who is registered, who is champion, and what a stranger can do with the model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mlflow import MlflowClient

from sweep.study.config import StudyConfig
from sweep.study.folder import Gate, read_record
from sweep.tracking import export
from sweep.tracking.client import RegistryError, TrackingError
from sweep.tracking.registry import champion, fetch_checkpoint, promote
from sweep.tracking.tracker import Tracker
from tests.sweep.made_study import add_checkpoint, add_trial, empty_store, make_study
from uvtex import metric_catalogue
from uvtex.config import TrainConfig, resolve
from uvtex.data.store import PairStore
from uvtex.models import build
from uvtex.runs.checkpoint import load
from uvtex.thresholds import Threshold


@pytest.fixture
def study(tmp_path: Path) -> StudyConfig:
    empty_store(tmp_path)
    return make_study(tmp_path)


def full_run(study: StudyConfig, number: int, reach: float, fingerprint: str = "f" * 16) -> Path:
    _, run_dir = add_trial(study, number, stage="full", reach=reach)
    add_checkpoint(study, run_dir, fingerprint)
    return run_dir


def ask(study: StudyConfig, run_dir: Path) -> Gate:
    return promote(study, read_record(run_dir), run_dir, study.tracking_uri)


def versions(study: StudyConfig) -> list[str]:
    found = MlflowClient(study.tracking_uri).search_model_versions("name = 'uvtex'")
    return sorted(str(version.version) for version in found)


def test_a_run_that_misses_a_threshold_is_not_registered(study: StudyConfig) -> None:
    answer = ask(study, full_run(study, 0, reach=0.5))
    assert (answer.registered, answer.version, answer.champion) == (False, None, False)
    assert "misses" in answer.reason
    assert champion(study.tracking_uri) is None


def test_the_first_run_that_passes_becomes_champion_with_its_origin(study: StudyConfig) -> None:
    run_dir = full_run(study, 4, reach=0.66)
    record = read_record(run_dir)
    tracker = Tracker(study.tracking_uri, study.store / "artifacts", study.name)
    run_id = tracker.trial_started(record, TrainConfig(), run_dir, live=False)
    answer = ask(study, run_dir)
    assert (answer.registered, answer.version, answer.champion) == (True, "1", True)
    facts = champion(study.tracking_uri)
    assert facts is not None
    assert (facts.study, facts.trial, facts.stage) == ("made", "4", "full")
    assert facts.run_id == run_id
    assert facts.data_fingerprint == "f" * 16
    assert facts.thresholds == study.thresholds
    assert facts.metrics["ssim_uv"] >= 0.6
    assert facts.margin == facts.metrics["margin"]
    version = MlflowClient(study.tracking_uri).get_model_version("uvtex", "1")
    assert version.run_id == run_id


def test_promoting_a_run_again_registers_nothing_new(study: StudyConfig) -> None:
    run_dir = full_run(study, 0, reach=0.66)
    first, second = ask(study, run_dir), ask(study, run_dir)
    assert first.version == second.version == "1"
    assert second.champion
    assert versions(study) == ["1"]


def test_only_a_better_run_replaces_the_champion(study: StudyConfig) -> None:
    assert ask(study, full_run(study, 0, reach=0.66)).champion
    worse = ask(study, full_run(study, 1, reach=0.65))
    assert (worse.registered, worse.champion) == (True, False)
    assert "version 1 (made/0) stays champion" in worse.reason
    better = ask(study, full_run(study, 2, reach=0.7))
    assert better.champion
    assert "beats version 1" in better.reason
    # The one that lost asks again, as after a crash between registering and the alias.
    assert not ask(study, study.paths.run_dir(0, "full")).champion
    facts = champion(study.tracking_uri)
    assert facts is not None
    assert facts.version == "3"
    assert versions(study) == ["1", "2", "3"]


def test_a_champion_with_figures_of_other_data_is_measured_again(
    tmp_path: Path, tiny_set: Path
) -> None:
    empty_store(tmp_path)
    study = make_study(tmp_path, data=tiny_set)
    ask(study, full_run(study, 0, reach=0.9, fingerprint="other"))
    answer = ask(study, full_run(study, 1, reach=0.66))
    assert "both measured on this study's validation pictures" in answer.reason


TODAY = metric_catalogue.versions(None)
ALONE = "ssim_uv_visible_alone"


def by(study: StudyConfig, metric: str) -> StudyConfig:
    thresholds = (Threshold(metric=metric, at_least=0.1),)
    return study.model_copy(update={"thresholds": thresholds})


def run_by(study: StudyConfig, number: int, reach: float, table: dict[str, str]) -> Path:
    """A full run with the thresholds' metrics, measured by the definitions in ``table``."""
    _, run_dir = add_trial(study, number, stage="full", reach=reach, extra={ALONE: reach})
    add_checkpoint(study, run_dir, table=table)
    return run_dir


@pytest.mark.parametrize(
    ("metric", "champions_table", "compared"),
    [
        (ALONE, TODAY, True),
        (ALONE, TODAY | {"alone": "another one"}, False),
        (ALONE, TODAY | {"ssim": "another one"}, False),
        (ALONE, {"ssim": TODAY["ssim"]}, False),  # before there was such a metric
        ("ssim_uv", TODAY | {"alone": "another one"}, True),
        ("ssim_uv", {k: v for k, v in TODAY.items() if k not in ("l1", "loss", "margin")}, True),
        ("ssim_uv", {}, False),
    ],
)
def test_figures_are_compared_only_if_the_definition_of_that_metric_is_equal(
    study: StudyConfig, metric: str, champions_table: dict[str, str], compared: bool
) -> None:
    """The data set is gone, so what does not compare by its record cannot be measured anew."""
    study = by(study, metric)
    assert ask(study, run_by(study, 0, 0.6, champions_table)).champion
    answer = ask(study, run_by(study, 1, 0.7, TODAY))
    assert answer.champion == compared
    assert ("by their records" if compared else "cannot be compared") in answer.reason


def test_a_champion_without_a_figure_for_a_threshold_stays(
    study: StudyConfig,
) -> None:
    assert ask(study, full_run(study, 0, reach=0.66)).champion
    other = by(study, ALONE)
    answer = ask(other, run_by(other, 1, 0.7, TODAY))
    assert not answer.champion
    assert "cannot be compared" in answer.reason


def test_a_champion_that_cannot_be_compared_stays(study: StudyConfig) -> None:
    """The study's data set is gone, so nothing can be measured anew."""
    ask(study, full_run(study, 0, reach=0.66, fingerprint="other"))
    answer = ask(study, full_run(study, 1, reach=0.9))
    assert not answer.champion
    assert "cannot be compared" in answer.reason
    assert "sweep ui" in answer.reason


def test_the_model_loads_without_this_projects_code(study: StudyConfig, tmp_path: Path) -> None:
    """Isolated Python, our packages blocked: load by alias, map pictures of any size."""
    run_dir = full_run(study, 0, reach=0.66)
    ask(study, run_dir)
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (1, 50, 90, 3), dtype=np.uint8)
    np.save(tmp_path / "in.npy", pictures)
    script = f"""
import sys, warnings
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("uvtex", "sweep"):
            raise ImportError(f"{{name}} is not there for strangers")
sys.meta_path.insert(0, Block())
import mlflow, numpy as np
mlflow.set_tracking_uri({study.tracking_uri!r})
model = mlflow.pyfunc.load_model("models:/uvtex@champion")
np.save({str(tmp_path / "out.npy")!r}, model.predict(np.load({str(tmp_path / "in.npy")!r})))
many = model.predict(np.zeros((3, 17, 31, 3), np.uint8))
assert many.shape == (3, 32, 32, 3) and many.dtype == np.uint8, (many.shape, many.dtype)
assert not [name for name in sys.modules if name.split(".")[0] in ("uvtex", "sweep")]
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    ours = load(run_dir / "checkpoints" / "best.safetensors").predictor
    with torch.no_grad():
        expected = export.PictureToTexture(ours, 32)(torch.from_numpy(pictures)).numpy()
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=1)


def test_the_model_declares_three_requirements_and_holds_no_pickle(study: StudyConfig) -> None:
    ask(study, full_run(study, 0, reach=0.66))
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
    ask(study, run_dir)
    original = run_dir / "checkpoints" / "best.safetensors"
    assert fetch(study, text).read_bytes() == original.read_bytes()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models:/uvtex", "must be models:/NAME@ALIAS or models:/NAME/VERSION"),
        ("models:/uvtex/latest", "must be models:/NAME@ALIAS"),
        ("models:/uvtex@champion", "uvtex"),
        ("models:/nobody/3", "nobody"),
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
    assert champion("sqlite:///mlruns/mlflow.db") is None
    assert not list(tmp_path.iterdir())


def test_promoting_to_an_unreachable_registry_is_an_error(study: StudyConfig) -> None:
    run_dir = full_run(study, 0, reach=0.66)
    with pytest.raises((RegistryError, TrackingError), match=r"127\.0\.0\.1:9"):
        promote(study, read_record(run_dir), run_dir, "http://127.0.0.1:9")


def test_the_exported_model_prepares_pictures_as_infer_does(tmp_path: Path) -> None:
    """Padding and resizing agree with the photo path, but for the resampling filter."""
    from PIL import Image

    from uvtex.inference.photos import prepare

    y, x = np.mgrid[:60, :90]
    photo = np.stack([x * 2, y * 4, (x + y)], axis=-1).astype(np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    expected = prepare(tmp_path / "photo.png", 32, None, whole=True).view
    program = export.PictureToTexture(torch.nn.Identity(), 32)
    mine = program(torch.from_numpy(photo)[None])[0].numpy()
    difference = np.abs(mine.astype(int) - expected.astype(int))
    assert difference.mean() < 3


@pytest.mark.parametrize(
    ("preset", "maps", "affine"),
    [("poc05", True, 0), ("atlas", True, 0), ("atlas", True, 0.1), ("atlas", False, 0)],
)
def test_every_exported_preset_takes_any_size_and_equals_the_network(
    preset: str, maps: bool, affine: float, tiny_set: Path, tmp_path: Path
) -> None:
    import mlflow.pytorch

    config = resolve(
        {"preset": preset, "width": 0.1, "image_size": 32, "device": "cpu"},
        {"augment": {"affine": affine}},
    )
    torch.manual_seed(0)
    predictor = build(config, PairStore.open(tiny_set, config).bank if maps else None)[0].eval()
    with torch.no_grad():  # fresh networks leave out what their zeros hide
        for parameter in predictor.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    export.save(predictor, 32, tmp_path / "model")
    program = mlflow.pytorch.load_model(str(tmp_path / "model"))
    for shape in ((1, 31, 20, 3), (3, 40, 80, 3)):
        pictures = torch.randint(0, 256, shape).to(torch.uint8)
        with torch.no_grad():
            expected = export.PictureToTexture(predictor, 32)(pictures)
        assert len(expected.unique()) > 20
        torch.testing.assert_close(program(pictures), expected, atol=1, rtol=0)


def test_a_network_with_a_fixed_batch_size_is_refused(tmp_path: Path) -> None:
    class Fixed(torch.nn.Module):
        def forward(self, view: torch.Tensor) -> torch.Tensor:
            return view * torch.ones(len(view), 1, 1, 1)

    with pytest.raises(RegistryError, match="refuses pictures"):
        export.save(Fixed(), 32, tmp_path / "model")
