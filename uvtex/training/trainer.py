"""Trains a predictor and a renderer, one epoch at a time."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from uvtex import device as memory
from uvtex.config import TERMS, Schedule, TrainConfig
from uvtex.data.batch import Batch
from uvtex.data.store import PairStore
from uvtex.device import autocast
from uvtex.errors import BackboneMissing, DivergenceError, UvtexError
from uvtex.evaluation.measure import BATCH, measure
from uvtex.files import write_atomic
from uvtex.imaging.camera_bank import CameraBank
from uvtex.imaging.framing import framing_of
from uvtex.metric_catalogue import needs, needs_lpips, versions
from uvtex.metrics import lpips
from uvtex.models import build, needs_camera_bank
from uvtex.progress import Progress, no_progress
from uvtex.runs import checkpoint, folder
from uvtex.runs.epochs import EpochReport, best_epoch, write_epochs
from uvtex.runs.folder import RunFolder
from uvtex.runs.header import Header
from uvtex.runs.resume import ResumeState, read_state, restore_reports
from uvtex.settings import dump_yaml
from uvtex.thresholds import margin
from uvtex.training import losses
from uvtex.training.schedule import learning_rate, weights

REFERENCE = weights(Schedule(), 1, 1)
"""The default weights. ``total_ref`` uses them, so it compares across schedules."""


class Trainer:
    """Trains one run into ``run_dir``. To stop it, stop iterating over :meth:`epochs`.

    All randomness derives from (seed, epoch, step). So a trainer that resumes from its last
    checkpoint continues as if it had never stopped: on the CPU bit for bit. On CUDA, cuDNN is
    restricted to deterministic algorithms, which should give the same for preset ``poc05``. Preset
    ``atlas`` repeats there only up to rounding, because the gradients of grid_sample and of
    bilinear resizing are summed in no fixed order. None of this has been tried on CUDA.

    Raises (on construction):
        UvtexError: ``run_dir`` holds a run, and neither ``resume`` nor ``force`` is given.
        CheckpointError: the checkpoint to resume from is broken, or has other settings or data.
        BackboneMissing: a threshold is on LPIPS, which is not available, or ``lpips_backbone`` is
            not valid.
        DataError: the data set lacks something that the preset needs.
        OutOfMemory: the camera bank of the data set does not fit into memory.
    """

    def __init__(
        self,
        config: TrainConfig,
        data: PairStore,
        run_dir: Path,
        resume: bool = False,
        force: bool = False,
    ) -> None:
        self.config, self.run = config, RunFolder(run_dir)
        self.data = data.taught_by(config.map_stiffness)
        self.progress: Progress = no_progress
        """Receives each step of an epoch, counted from 1, once it is queued on the device."""
        if data.device.type == "cuda":
            # The fastest algorithms sum in any order, and a benchmark may choose by chance.
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
        self._lpips = lpips.load_lpips(config.lpips_backbone, data.device)
        self._check_thresholds()
        self._fingerprints = data.fingerprints()
        self._framing = framing_of(data.train_masks())
        state = read_state(self.run, config, self._fingerprints) if resume else None
        torch.manual_seed(config.seed)  # only the networks' first weights are drawn from it
        self.predictor, self.renderer = (
            network.to(data.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            for network in build(config, self._camera_bank(state))
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
        self.run.checkpoints.mkdir(parents=True, exist_ok=True)
        folder.tidy(self.run)
        if state is not None:
            self._restore(state)
        elif force:
            folder.clear(self.run, config.checkpoint_name)
        else:
            folder.refuse_taken(self.run, config.checkpoint_name, resume)
        write_atomic(self.run.settings, dump_yaml(config).encode())

    def epochs(self) -> Iterator[EpochReport]:
        """Trains, and yields the report of each epoch when it and its checkpoint are on disk.

        Raises:
            DivergenceError: a loss or a parameter is NaN or infinite. The last good checkpoint
                stays on disk.
            OutOfMemory: a batch does not fit. The last good checkpoint stays on disk.
            UvtexError: a file cannot be written.
        """
        for epoch in range(len(self._reports) + 1, self.config.epochs + 1):
            report = self._epoch(epoch)
            self._reports.append(report)
            self._save(report)
            write_epochs(self.run.path, self._reports)
            yield report

    @property
    def best_checkpoint(self) -> Path:
        """The checkpoint of the best epoch; it exists after the first epoch."""
        return self.run.best(self.config.checkpoint_name)

    @property
    def _last(self) -> Path:
        return self.run.last(self.config.checkpoint_name)

    def _networks(self) -> dict[str, nn.Module]:
        return {"predictor": self.predictor, "renderer": self.renderer}

    def _check_thresholds(self) -> None:
        if self._lpips is None and any(needs_lpips(t.metric) for t in self.config.thresholds):
            lpips.find_backbone(self.config.lpips_backbone)  # says what is missing, and where
            raise BackboneMissing("LPIPS is asked for and absent")

    # -- starting

    def _camera_bank(self, state: ResumeState | None) -> CameraBank | None:
        """What the set says of its cameras, where the preset needs it.

        A resumed run takes it from its checkpoint: the weights were trained with that one.
        """
        if not needs_camera_bank(self.config):
            return None
        if state is not None:
            return state.bank
        doing = "comparing the training liveries texel by texel"
        where = self.config.image_size, self.data.device, "--image-size"
        with memory.named_out_of_memory(doing, *where):
            return self.data.bank

    def _restore(self, state: ResumeState) -> None:
        for name, network in self._networks().items():
            checkpoint.fill(network, name, state.path, state.tensors, self.config.preset)
        for name, optimizer in self._optimizers.items():
            checkpoint.restore_optimizer(optimizer, name, state.tensors)
        self._reports = restore_reports(self.run, state)

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
        self._check_parameters(epoch)  # no training loss has used those of the last step yet
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
                f"{self.run.path}: a threshold is on {', '.join(absent)}, which this data set does "
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
        coefficients = now | losses.constant_weights(config)
        noise = torch.Generator(self.data.device)
        noise.manual_seed(random.Random(f"noise/{config.seed}/{epoch}").getrandbits(63))
        batches = self.data.train_batches(
            config.batch_size, config.seed, epoch, config.augment, config.views
        )
        # Losses stay on the device: reading one at each step would stall the queue.
        history = [self._step(batch, coefficients, noise) for batch in self._counted(batches)]
        names = list(history[0])
        table = torch.stack([torch.stack([row[n] for n in names]) for row in history]).cpu()
        for step, row in enumerate(table.tolist(), 1):
            self._check_finite(f"epoch {epoch}, step {step}", dict(zip(names, row, strict=True)))
        return dict(zip(names, table.mean(dim=0).tolist(), strict=True))

    def _check_finite(self, when: str, values: dict[str, float]) -> None:
        for name, value in values.items():
            if not math.isfinite(value):
                raise self._diverged(f"{when}: loss term {name!r} is {value}")

    def _diverged(self, what: str) -> DivergenceError:
        kept = f"the last good checkpoint is {self._last}"
        return DivergenceError(
            f"{self.run.path}: {what}; lower the learning rate or the weights; "
            + (kept if self._last.is_file() else "no checkpoint was made yet")
        )

    def _check_parameters(self, epoch: int) -> None:
        """The metrics do not show this: the argmax of NaN scores is a valid camera index."""
        named = {
            f"{name}.{key}": parameter
            for name, network in self._networks().items()
            for key, parameter in network.named_parameters()
        }
        finite = torch.stack([parameter.isfinite().all() for parameter in named.values()])
        for name, fine in zip(named, finite.tolist(), strict=True):
            if not fine:
                raise self._diverged(f"epoch {epoch}: parameter {name!r} is NaN or infinite")

    def _counted(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        steps = self.data.steps(self.config.batch_size)
        for step, batch in enumerate(batches, 1):
            yield batch
            self.progress("steps", step, steps)

    def _step(
        self, batch: Batch, coefficients: dict[str, float], noise: torch.Generator
    ) -> dict[str, Tensor]:
        with autocast(self.data.device, self.config.precision):
            values = losses.step_terms(self.predictor, self.renderer, batch, self.config, noise)
        total = losses.total(values, coefficients)
        for optimizer in self._optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        self.predictor.clip_gradients()
        for optimizer in self._optimizers.values():
            optimizer.step()
        return {name: value.detach() for name, value in {**values, "total": total}.items()}

    # -- saving

    def _save(self, report: EpochReport) -> None:
        header = Header(
            config=self.config,
            epoch=report.epoch,
            metrics=report.val,
            metric_versions=versions(self._lpips.version if self._lpips else None),
            framing=self._framing,
            **self._fingerprints,
        )
        weights_only = {
            f"{name}.{key}": value
            for name, network in self._networks().items()
            for key, value in network.state_dict().items()
        }
        run, name = self.run, self.config.checkpoint_name
        if report.best:
            checkpoint.save(run.best(name), weights_only, header)
        if (every := self.config.checkpoint_every) and report.epoch % every == 0:
            checkpoint.save(run.periodic(name, report.epoch), weights_only, header)
        optimizers = {
            key: value
            for name, optimizer in self._optimizers.items()
            for key, value in checkpoint.optimizer_tensors(name, optimizer).items()
        }
        # Last, and with its report: a run killed before the next line resumes from here.
        resumable = header.model_copy(update={"report": report})
        checkpoint.save(run.last(name), {**weights_only, **optimizers}, resumable)
