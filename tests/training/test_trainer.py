"""The trainer: that it learns, and what it reports and saves."""

from pathlib import Path

import pytest
import torch

from tests.sets import make_set, make_showroom
from tests.training.small_run import run, settings
from uvtex.config import Augment
from uvtex.data.storage import views
from uvtex.data.store import PairStore
from uvtex.runs import checkpoint
from uvtex.training.trainer import Trainer


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("preset", ["poc05", "atlas"])
def test_a_step_on_a_gpu_never_waits_for_the_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preset: str
) -> None:
    monkeypatch.setattr(views, "KEPT", 0)  # views are composed at each step
    every = dict.fromkeys(Augment.model_fields, 0.1)
    config = settings(preset=preset, device="cuda", augment=every, texture_noise=0.1)
    store = PairStore.open(make_showroom(tmp_path / "set"), config)
    trainer = Trainer(config, store, tmp_path / "run")
    batches = store.train_batches(2, 0, 1, config.augment)
    weights = {"direct": 1.0, "uv": 1.0, "cycle": 1.0, "cross": 1.0, "flow": 1.0}
    noise = torch.Generator("cuda")
    trainer._step(next(batches), weights, noise)  # creates the state of the optimisers
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        losses = trainer._step(next(batches), weights, noise)  # raises if it waits
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert all(value.isfinite() for value in losses.values())


def test_the_best_checkpoint_is_from_the_epoch_with_the_best_margin(
    tiny_set: Path, tmp_path: Path
) -> None:
    config = settings(epochs=4, checkpoint_every=2)
    reports = run(config, tiny_set, tmp_path)
    best = max(reports, key=lambda r: r["val"]["margin"])
    loaded = checkpoint.load(tmp_path / "checkpoints/best.safetensors")
    assert (loaded.header.epoch, loaded.header.metrics) == (best["epoch"], best["val"])
    assert {p.name for p in (tmp_path / "checkpoints").iterdir()} == {
        "best.safetensors",
        "best_last.safetensors",
        "best_epoch002.safetensors",
        "best_epoch004.safetensors",
    }


def test_total_uses_the_weights_of_the_epoch_and_total_ref_the_default_weights(
    tiny_set: Path, tmp_path: Path
) -> None:
    weights = {"cycle": 0.1, "uv": 0.2, "direct": 0.9, "cross": 0.0}
    config = settings(epochs=1, schedule=weights)
    val = run(config, tiny_set, tmp_path)[0]["val"]
    assert val["total"] == pytest.approx(sum(w * val[k] for k, w in weights.items()))
    default = {"cycle": 0.3, "uv": 0.25, "direct": 0.3, "cross": 0.15}
    assert val["total_ref"] == pytest.approx(sum(w * val[k] for k, w in default.items()))


def test_the_trainer_learns(tmp_path: Path) -> None:
    """Two liveries: the trained one is reconstructed with SSIM(UV) 0.9 or better."""
    from uvtex.evaluation.measure import measure

    data = make_set(tmp_path / "set", liveries=2, cameras=2)
    config = settings(
        epochs=100,
        width=0.25,
        batch_size=2,
        val_split=0.5,
        lr=4e-3,
        schedule={"cycle": 0.1, "uv": 0.1, "direct": 1.0, "cross": 0.0},
    )
    store = PairStore.open(data, config)
    trainer = Trainer(config, store, tmp_path / "run")
    for _ in trainer.epochs():
        pass
    fitted = measure(trainer.predictor, trainer.renderer, store, config, None, "train")
    assert fitted["ssim_uv"] >= 0.9


@pytest.mark.parametrize("preset", ["poc05", "atlas"])
def test_bf16_trains_close_to_float32(tiny_set: Path, tmp_path: Path, preset: str) -> None:
    # In epoch one the cameras are not yet distinguished, and rounding decides between them.
    losses = [
        run(settings(preset=preset, precision=p, epochs=4), tiny_set, tmp_path / p)[-1]["train"]
        for p in ("float32", "bf16")
    ]
    assert losses[0] != losses[1]
    for term in ("cycle", "uv", "direct", "total"):
        assert losses[1][term] == pytest.approx(losses[0][term], rel=0.05)


def test_adam_uses_the_rate_and_the_betas_of_the_settings(tiny_set: Path, tmp_path: Path) -> None:
    config = settings(lr=3e-4, beta1=0.7, beta2=0.97)
    trainer = Trainer(config, PairStore.open(tiny_set, config), tmp_path / "run")
    next(trainer.epochs())
    groups = [g for adam in trainer._optimizers.values() for g in adam.param_groups]
    assert [(group["lr"], group["betas"]) for group in groups] == [(3e-4, (0.7, 0.97))] * 2
