"""Training of a predictor and a renderer, one epoch at a time."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from uvtex import device as memory
from uvtex.config import TERMS, Schedule, TrainConfig, differences, dump_yaml
from uvtex.data.batch import Batch
from uvtex.data.store import PairStore
from uvtex.device import autocast
from uvtex.errors import BackboneMissing, CheckpointError, DivergenceError, UvtexError
from uvtex.evaluation.measure import BATCH, measure
from uvtex.files import write_atomic
from uvtex.imaging.camera_bank import CameraBank
from uvtex.imaging.framing import framing_of
from uvtex.metric_catalogue import needs, needs_lpips, versions
from uvtex.metrics import lpips
from uvtex.models import build
from uvtex.models.forward import forward
from uvtex.runs import checkpoint, folder
from uvtex.runs.epochs import EpochReport, best_epoch, read_epochs, write_epochs
from uvtex.thresholds import margin
from uvtex.training import losses
from uvtex.training.schedule import learning_rate, weights

__all__ = ["EpochReport", "Trainer", "read_epochs"]

NO_FIGURES = ("device", "checkpoint_name", "checkpoint_every", "lpips_backbone")
"""Settings that do not decide a run's figures, so a resumed run may change them."""
REFERENCE = weights(Schedule(), 1, 1)
"""The default weights: ``total_ref`` is by these, so it compares across schedules."""


@dataclass(frozen=True)
class Stopped:
    """A run as its last checkpoint has it."""

    tensors: dict[str, Tensor]
    header: dict[str, Any]
    bank: CameraBank | None


class Trainer:
    """Trains one run into ``run_dir``; to stop it, stop iterating.

    Everything random derives from (seed, epoch, step), so a trainer resumed from its last
    checkpoint continues as if it had never stopped: on the CPU bit for bit. On CUDA cuDNN is held
    to algorithms that repeat, which is meant to give the same for preset ``poc05``. ``atlas``, with
    known cameras or from pairs alone, repeats there to rounding only: the gradients of grid_sample
    (and of bilinear resizing) are added up in no fixed order. None of this was tried on CUDA.

    Raises (on construction):
        UvtexError: ``run_dir`` holds a run already, which is neither to be resumed nor replaced
            (``force``).
        CheckpointError: the checkpoint to resume from is broken or of other settings.
        BackboneMissing: a threshold is on LPIPS, which cannot be had; or ``lpips_backbone`` is bad.
        DataError: the preset needs what the data set does not have.
        OutOfMemory: what the set says of its cameras takes more than there is.
    """

    def __init__(
        self,
        config: TrainConfig,
        data: PairStore,
        run_dir: Path,
        resume: bool = False,
        force: bool = False,
    ) -> None:
        self.config, self.data, self.run_dir = config, data, run_dir
        self.on_step: Callable[[int], None] = lambda step: None
        """Told the number of each of an epoch's steps, from 1, once it is queued: no sync."""
        if data.device.type == "cuda":
            # The fastest algorithms may add in any order, and a benchmark may choose by chance.
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
        self._lpips = lpips.load_lpips(config.lpips_backbone, data.device)
        self._check_thresholds()
        self._digests = {
            "data_fingerprint": data.fingerprint(),
            "train_fingerprint": data.train_fingerprint(),
        }
        self._framing = framing_of(data.train_masks())
        stopped = self._stopped() if resume else None
        torch.manual_seed(config.seed)  # only the networks' first weights are drawn from it
        self.predictor, self.renderer = (
            network.to(data.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            for network in build(config, self._bank(stopped))
        )
        self._optimizers = {
            name: torch.optim.Adam(
                network.parameters(),
                lr=config.lr,
                betas=(config.beta1, config.beta2),
                fused=True,
            )
            for name, network in self._networks().items()
            if any(True for _ in network.parameters())
        }
        self._reports: list[EpochReport] = []
        (run_dir / "checkpoints").mkdir(parents=True, exist_ok=True)
        folder.tidy(run_dir)
        if stopped is not None:
            self._restore(stopped)
        elif force:
            folder.clear(run_dir, config.checkpoint_name)
        else:
            folder.refuse_taken(run_dir, config.checkpoint_name, resume)
        write_atomic(run_dir / "config.yaml", dump_yaml(config).encode())

    def epochs(self) -> Iterator[EpochReport]:
        """Trains, yielding after each epoch once its checkpoint and report are on disk.

        Raises:
            DivergenceError: a loss or a parameter is NaN or infinite; the last good checkpoint
                stays.
            OutOfMemory: likewise.
            UvtexError: something cannot be written.
        """
        for epoch in range(len(self._reports) + 1, self.config.epochs + 1):
            report = self._epoch(epoch)
            self._reports.append(report)
            self._save(report)
            write_epochs(self.run_dir, self._reports)
            yield report

    @property
    def best_checkpoint(self) -> Path:
        """Where the best epoch's weights are, once there was an epoch."""
        return self._checkpoint("")

    def _networks(self) -> dict[str, nn.Module]:
        return {"predictor": self.predictor, "renderer": self.renderer}

    def _checkpoint(self, suffix: str) -> Path:
        name = f"{self.config.checkpoint_name}{suffix}.safetensors"
        return self.run_dir / "checkpoints" / name

    def _check_thresholds(self) -> None:
        if self._lpips is None and any(needs_lpips(t.metric) for t in self.config.thresholds):
            lpips.find_backbone(self.config.lpips_backbone)  # says what is missing, and where
            raise BackboneMissing("LPIPS is asked for and absent")

    # -- starting

    def _stopped(self) -> Stopped | None:
        """What the run's last checkpoint holds, if there is one and this run is what it began."""
        last = self._checkpoint("_last")
        if not last.is_file():
            return None
        tensors, header = checkpoint.read(last)
        theirs = checkpoint.settings(last, header)
        found = differences(theirs.model_dump(), self.config.model_dump(), ignoring=NO_FIGURES)
        if found:
            changed = sorted({key.partition(".")[0] for key in found})
            absent = [key for key in changed if key not in header["config"]]
            if absent:
                raise CheckpointError(
                    f"{last}: a version made it that had no {', '.join(absent)}; start under "
                    "another name"
                )
            raise CheckpointError(
                f"{last}: was trained with another {', '.join(changed)}; resume with the settings "
                f"of {self.run_dir / 'config.yaml'}, or start under another name"
            )
        # A checkpoint without the second has the first by another definition.
        if "train_fingerprint" in header and self._digests != {k: header[k] for k in self._digests}:
            raise CheckpointError(f"{last}: the data set has changed since; start anew")
        return Stopped(tensors, header, checkpoint.bank(last, tensors))

    def _bank(self, stopped: Stopped | None) -> CameraBank | None:
        """What the preset needs to know of the set's cameras.

        A resumed run's are its checkpoint's: all that follows from them has to agree
        with the weights, and who lends to whom need not be found again.
        """
        if self.config.preset != "atlas":
            return None
        if stopped is not None:
            return stopped.bank
        doing = "comparing the training liveries texel by texel"
        with memory.named_out_of_memory(
            doing, self.config.image_size, self.data.device, "--image-size"
        ):
            return self.data.bank

    def _restore(self, stopped: Stopped) -> None:
        for name, network in self._networks().items():
            last = self._checkpoint("_last")
            checkpoint.fill(network, name, last, stopped.tensors, self.config.preset)
        for name, optimizer in self._optimizers.items():
            checkpoint.restore_optimizer(optimizer, name, stopped.tensors)
        epoch = stopped.header["epoch"]
        self._reports = [r for r in read_epochs(self.run_dir) if r.epoch < epoch]
        self._reports.append(EpochReport.from_json(stopped.header["report"]))
        write_epochs(self.run_dir, self._reports)

    # -- one epoch

    def _epoch(self, epoch: int) -> EpochReport:
        started = time.perf_counter()
        config = self.config
        now = weights(config.schedule, epoch, config.epochs)
        lr = learning_rate(config.lr, config.schedule, epoch, config.epochs)
        size, device = config.image_size, self.data.device
        lower = "--image-size or --width"
        both = f"--batch-size, {lower}"
        with memory.named_out_of_memory(
            f"training in batches of {config.batch_size}", size, device, both
        ):
            train = self._train(epoch, now, lr)
        self._check_parameters(epoch)  # the last step's were in no training loss yet
        with memory.named_out_of_memory(f"validating in batches of {BATCH}", size, device, lower):
            val = measure(self.predictor, self.renderer, self.data, config, self._lpips)
        self._check_finite(f"epoch {epoch}, validation", {term: val[term] for term in TERMS})
        val["total"] = sum(now[term] * val[term] for term in TERMS)
        val["total_ref"] = sum(REFERENCE[term] * val[term] for term in TERMS)
        val["margin"] = self._margin(val)
        report = EpochReport(
            epoch=epoch,
            weights=now,
            lr=lr,
            train=train,
            val=val,
            seconds=time.perf_counter() - started,
            images=len(self.data.train),
            best=False,
        )
        return replace(report, best=best_epoch([*self._reports, report]) is report)

    def _margin(self, val: dict[str, float]) -> float:
        absent = [t.metric for t in self.config.thresholds if t.metric not in val]
        if absent:
            known = [f"{metric} needs {needs(metric)}" for metric in absent if needs(metric)]
            raise UvtexError(
                f"{self.run_dir}: a threshold is on {', '.join(absent)}, which this data set does "
                f"not give; {'; '.join([*known, ''])}it gives {', '.join(sorted(val))}. "
                "UV maps are `uv_map` in a set's manifest; `uvtex showroom build` makes built sets"
            )
        return margin(val, self.config.thresholds)

    def _train(self, epoch: int, now: dict[str, float], lr: float) -> dict[str, float]:
        config = self.config
        for network in self._networks().values():
            network.train()
        for optimizer in self._optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = lr
        fixed = {"flow": config.w_flow, "render": config.w_render, "ssim": config.w_ssim}
        coefficients = now | {term: weight for term, weight in fixed.items() if weight}
        noise = torch.Generator(self.data.device)
        noise.manual_seed(random.Random(f"noise/{config.seed}/{epoch}").getrandbits(63))
        batches = self.data.train_batches(config.batch_size, config.seed, epoch, config.augment)
        # Kept on the device: reading a loss each step would stall the queue.
        history = [self._step(batch, coefficients, noise) for batch in self._counted(batches)]
        names = list(history[0])
        table = torch.stack([torch.stack([row[n] for n in names]) for row in history]).cpu()
        for step, row in enumerate(table.tolist(), 1):
            self._check_finite(f"epoch {epoch}, step {step}", dict(zip(names, row, strict=True)))
        return dict(zip(names, table.mean(dim=0).tolist(), strict=True))

    def _check_finite(self, when: str, values: dict[str, float]) -> None:
        for name, value in values.items():
            if not math.isfinite(value):
                raise DivergenceError(
                    f"{self.run_dir}: {when}: loss term {name!r} is {value}; lower --lr or the "
                    f"weights. The last good checkpoint is {self._checkpoint('_last')}"
                )

    def _check_parameters(self, epoch: int) -> None:
        """Figures cannot tell: the argmax of a pose finder's NaNs is a camera like any other."""
        named = {
            f"{name}.{key}": parameter
            for name, network in self._networks().items()
            for key, parameter in network.named_parameters()
        }
        finite = torch.stack([parameter.isfinite().all() for parameter in named.values()])
        for name, fine in zip(named, finite.tolist(), strict=True):
            if not fine:
                raise DivergenceError(
                    f"{self.run_dir}: epoch {epoch}: parameter {name!r} is NaN or infinite; lower "
                    f"--lr or the weights. The last good checkpoint is {self._checkpoint('_last')}"
                )

    def _counted(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        for step, batch in enumerate(batches, 1):
            yield batch
            self.on_step(step)

    def _step(
        self, batch: Batch, coefficients: dict[str, float], noise: torch.Generator
    ) -> dict[str, Tensor]:
        with autocast(self.data.device, self.config.precision):
            values = self._losses(batch, noise)
        total = losses.total(values, coefficients)
        for optimizer in self._optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        self.predictor.clip_gradients()
        for optimizer in self._optimizers.values():
            optimizer.step()
        return {name: value.detach() for name, value in {**values, "total": total}.items()}

    def _losses(self, batch: Batch, noise: torch.Generator) -> dict[str, Tensor]:
        out = forward(self.predictor, self.renderer, batch.pair, self._noise(batch, noise))
        out = out.float32()
        values = losses.terms(batch.pair, out)
        if self.config.w_ssim:
            values["ssim"] = losses.dissimilarity(batch.pair, out)
        seen_by = [out.sight_a, out.sight_b]
        if batch.shown_a is not None and batch.shown_b is not None and out.sight_a is not None:
            with autocast(self.data.device, self.config.precision):
                seen_by = [
                    self.predictor.estimate_camera(view) for view in (batch.shown_a, batch.shown_b)
                ]
        sights = (
            (seen_by[0], batch.camera_a, batch.flow_a, batch.seen_a),
            (seen_by[1], batch.camera_b, batch.flow_b, batch.seen_b),
        )
        known = [
            losses.flow(sight, camera, flow, seen)
            for sight, camera, flow, seen in sights
            if sight is not None and camera is not None and flow is not None and seen is not None
        ]
        return {**values, "flow": sum(known[1:], start=known[0]) / 2} if known else values

    def _noise(self, batch: Batch, generator: torch.Generator) -> Tensor | None:
        if not self.config.texture_noise:
            return None
        shape = (2 * len(batch.pair.a), *batch.pair.texture.shape[1:])
        normal = torch.randn(shape, generator=generator, device=self.data.device)
        return normal * (2 * self.config.texture_noise)  # the range is 2 wide

    # -- saving

    def _save(self, report: EpochReport) -> None:
        header = {
            "config": self.config.model_dump(mode="json"),
            "epoch": report.epoch,
            "metrics": report.val,
            "metric_versions": versions(self._lpips.version if self._lpips else None),
            **self._digests,
            "framing": None if self._framing is None else self._framing.model_dump(),
        }
        weights_only = {
            f"{name}.{key}": value
            for name, network in self._networks().items()
            for key, value in network.state_dict().items()
        }
        if report.best:
            checkpoint.save(self._checkpoint(""), weights_only, header)
        every = self.config.checkpoint_every
        if every and report.epoch % every == 0:
            checkpoint.save(self._checkpoint(f"_epoch{report.epoch:03d}"), weights_only, header)
        optimizers = {
            key: value
            for name, optimizer in self._optimizers.items()
            for key, value in checkpoint.optimizer_tensors(name, optimizer).items()
        }
        # Last, and with its report: a run killed before the next line resumes from here.
        checkpoint.save(
            self._checkpoint("_last"),
            {**weights_only, **optimizers},
            {**header, "report": report.to_dict()},
        )
