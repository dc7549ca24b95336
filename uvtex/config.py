"""The settings of one training run: immutable and validated.

This module alone defines their defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from uvtex import device_names
from uvtex.settings import Settings, merge, validate
from uvtex.thresholds import Threshold
from uvtex.typed.names import FileName
from uvtex.typed.setting_values import InputPathText, is_number

TERMS = ("cycle", "uv", "direct", "cross")
"""The four loss terms of a schedule, in the order of every list."""


class Ramp(Settings):
    """A weight's start value and end value. Without an end the weight is constant.

    YAML may give a bare number, which is the start.
    """

    start: float = Field(ge=0)
    """The weight in the first epoch."""
    end: float | None = Field(default=None, ge=0)
    """The weight in the last epoch. None: the weight stays at ``start``."""

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        if isinstance(value, (Mapping, Ramp)):
            return value
        if not is_number(value):
            raise ValueError("must be a number, or start and end")
        return {"start": value}


class Schedule(Settings):
    """The values that a study searches.

    They are the four weights over the epochs, and the learning rate's T_max.
    """

    cycle: Ramp = Ramp(start=0.30)
    """Weight of the cycle term: ``R(U(v))`` against the view, inside the mask."""
    uv: Ramp = Ramp(start=0.25)
    """Weight of the uv term: ``U(R(t))`` against the true texture."""
    direct: Ramp = Ramp(start=0.30)
    """Weight of the direct term: ``U(v)`` against the true texture."""
    cross: Ramp = Ramp(start=0.15)
    """Weight of the cross term: ``U(a)`` against ``U(b)``, two views of one livery."""
    lr_scheduler: Literal["none", "cosine"] = "none"
    """``none`` keeps the learning rate. ``cosine`` lets it fall by half a cosine wave, as torch's
    CosineAnnealingLR does."""
    lr_scheduler_tmax: int | None = Field(default=None, ge=1)
    """T_max, in epochs: the learning rate is 0 then. None: the run's number of epochs."""

    @model_validator(mode="after")
    def _check_a_weight_is_positive(self) -> Schedule:
        ramps = [getattr(self, term) for term in TERMS]
        for which in ("start", "end"):
            values = [r.start if which == "start" or r.end is None else r.end for r in ramps]
            if sum(values) <= 0:
                raise ValueError(f"every weight is 0 at the {which}: nothing would be trained")
        return self


DEFAULT_THRESHOLDS = (
    Threshold(metric="ssim_uv", at_least=0.245),
    Threshold(metric="lpips_view", at_most=0.52),
)
"""The promotion thresholds of the record from which this project starts."""


class Augment(Settings):
    """The strengths of the augmentation of training views. Strength 0 changes nothing.

    Every view draws its own amounts, uniformly up to the strength. Only ``livery`` changes
    textures. Masks and flows follow the geometry.
    """

    livery: float = Field(default=0.0, ge=0, le=1)
    """Share of the samples whose livery is recoloured, in the texture and in both views. This needs
    a set with plates."""
    colour: float = Field(default=0.0, ge=0, le=1)
    """Brightness, contrast and saturation are multiplied by factors between 1 - x and 1 + x."""
    affine: float = Field(default=0.0, ge=0, le=0.25)
    """Rotation by up to x radians, scaling by factors between 1 - x and 1 + x, shift by up to x
    times half the picture's side."""
    perspective: float = Field(default=0.0, ge=0, le=0.2)
    """Tilt: one edge of the picture shrinks and the opposite edge grows by up to this share."""
    background: float = Field(default=0.0, ge=0, le=1)
    """The background moves up to this share of the way to a plain colour. Only the estimate of the
    camera is trained on such views."""
    noise: float = Field(default=0.0, ge=0, le=1)
    """Standard deviation of Gaussian noise. 1 is the range from black to white."""
    blur: float = Field(default=0.0, ge=0, le=8)
    """Standard deviation of a Gaussian blur, in pixels."""


class TrainConfig(Settings):
    """All settings that decide a run's figures. Only the data set is not among them."""

    preset: Literal["poc05", "atlas"] = "poc05"
    """The networks and the training choices: ``poc05`` is the original, ``atlas`` samples the view
    by correspondence."""
    width: float = Field(default=1.0, gt=0, le=4)
    """Factor on the number of channels of every hidden layer."""
    image_size: int = Field(default=256, ge=32, le=2048, multiple_of=16)
    """Side of views and textures, in pixels. A multiple of 16."""
    epochs: int = Field(default=40, ge=1)
    """Number of epochs."""
    batch_size: int = Field(default=6, ge=1)
    """Samples a training step. A sample is a pair of views of one livery."""
    lr: float = Field(default=2e-4, gt=0)
    """Learning rate of both Adam optimisers in the first epoch."""
    beta1: float = Field(default=0.5, ge=0, lt=1)
    """Adam's decay of the mean of the gradients."""
    beta2: float = Field(default=0.999, ge=0, lt=1)
    """Adam's decay of the mean of the squared gradients."""
    schedule: Schedule = Schedule()
    """The weights of the four loss terms over the epochs, and the learning rate's course."""
    w_flow: float = Field(default=0.0, ge=0)
    """Weight of the supervision of camera and flow by the set's UV maps. It is constant."""
    w_render: float = Field(default=0.0, ge=0)
    """Weight of ``|R(t) - v|``, the renderer's own term. It is constant. It matters where the
    renderer learns: preset ``poc05``, and ``atlas`` on sets without UV maps. With UV maps ``atlas``
    renders exactly, and the term is only reported."""
    w_ssim: float = Field(default=0.0, ge=0)
    """Weight of ``1 - SSIM(U(v), t)``, the mean over both views. It is constant. L1 alone favours
    flat textures where the network is uncertain (Zhao et al. 2017)."""
    texture_noise: float = Field(default=0.0, ge=0, le=1)
    """Standard deviation of the noise that training adds to ``U(v)`` before it is rendered. 1 is
    the range from black to white. The noise destroys information that the predictor hides in the
    texture."""
    refiner_depth: int = Field(default=1, ge=1, le=4)
    """Factor on the number of residual blocks of the refiner, the network that mends the sampled
    texture. Preset ``poc05`` has no refiner."""
    views: int = Field(default=1, ge=1, le=16)
    """Most views of a livery that one texture is made of in training. Each step draws a number up
    to it: view b of a pair is fused with so many views less one; view a stays alone. Preset
    ``poc05`` has 1, because it makes a texture of one view only."""
    map_stiffness: float | None = Field(default=None, gt=0)
    """Which of the set's UV maps training learns from, where `uvtex data maps --stiffness` found
    several: their stiffness. None: the first. Figures of several values compare: all are measured
    by the first. Preset ``poc05`` learns from no UV maps."""
    augment: Augment = Augment()
    """Augmentation of the training views. Validation views are never augmented."""
    val_split: float = Field(default=0.1, gt=0, lt=1)
    """Share of the liveries (or of the samples) that are held out for validation."""
    test_split: float = Field(default=0.0, ge=0, lt=1)
    """Share of the liveries (or of the samples) that are kept for the test side, which no choice
    of epoch, schedule or model sees. It is taken from training: validation has the same liveries
    with any value. 0: no test side. Where it is not named, a new study has 0.1, and so has a new
    run of `uvtex train`; saved settings have 0."""
    split_by: Literal["livery", "sample"] = "livery"
    """``livery``: all views of a livery are on one side of the split. ``sample``: the original's
    split, which leaks liveries."""
    split_seed: int = Field(default=0, ge=0)
    """Seed of the split. It is independent of ``seed``, so that runs with several seeds are
    validated on the same liveries."""
    seed: int = Field(default=0, ge=0, lt=2**64)
    """Seed of weights, data order and augmentation."""
    device: str = "auto"
    """``cpu``, ``cuda``, ``cuda:1`` and so on, ``mps`` or ``xpu``. ``auto``: a CUDA GPU if there is
    one. GPUs are counted from 0, among those that the environment leaves visible."""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """Arithmetic of the networks. ``auto``: bf16 on CUDA, float32 on a CPU. Weights, optimisers,
    losses and metrics are always float32."""
    checkpoint_name: FileName = "best"
    """Name of the run's folder and of its best checkpoint."""
    checkpoint_every: int = Field(default=0, ge=0)
    """Keep ``NAME_epochNNN`` every so many epochs. 0: keep only the best and the last."""
    thresholds: tuple[Threshold, ...] = Field(default=DEFAULT_THRESHOLDS, min_length=1)
    """The thresholds. The best checkpoint is the one with the largest margin over them."""
    lpips_backbone: InputPathText | None = None
    """File with torchvision's AlexNet ImageNet weights, relative to the settings file or to the
    folder that the command runs in. None: torch's hub cache, else a download."""

    @field_validator("device", mode="before")
    @classmethod
    def _check_device(cls, value: Any) -> Any:
        # Whether the machine has the device is asked where it is used: a checkpoint's settings
        # name a device of another machine.
        number = isinstance(value, int) and not isinstance(value, bool)
        reason = device_names.problem(str(value)) if number or isinstance(value, str) else None
        if reason is not None:
            raise ValueError(reason)
        return value

    @model_validator(mode="after")
    def _check_something_trains(self) -> TrainConfig:
        if self.test_split and self.val_split + self.test_split >= 1:
            raise ValueError(
                "val_split + test_split must be below 1, got "
                f"{self.val_split:g} + {self.test_split:g}: nothing would be left to train on"
            )
        if self.preset == "poc05" and self.refiner_depth > 1:
            raise ValueError(
                f"refiner_depth must be 1 with preset poc05, got {self.refiner_depth}: it has no "
                "refiner; take preset atlas"
            )
        if self.preset == "poc05" and self.views > 1:
            raise ValueError(
                f"views must be 1 with preset poc05, got {self.views}: it keeps no evidence of its "
                "views that could be fused; take preset atlas"
            )
        if self.preset == "poc05" and self.map_stiffness is not None:
            raise ValueError(
                f"map_stiffness must not be set with preset poc05, got {self.map_stiffness:g}: it "
                "learns from no UV maps; take preset atlas"
            )
        return self


NEW_TEST_SPLIT = 0.1
"""The ``test_split`` of a new run or study that does not name one (docs/decisions/0013)."""


_ATLAS_AUGMENT = {"livery": 1.0, "background": 1.0}
"""Without ``livery`` the networks memorise a hundred liveries within ten epochs."""
PRESETS: dict[str, dict[str, Any]] = {
    "poc05": {},
    # w_render is for sets without UV maps. With UV maps the renderer is exact and learns nothing.
    # Without ``background`` the predictor recognises cameras by their studio background, and
    # fails before any other background (docs/log.md, 2026-11-23).
    "atlas": {
        "lr": 2e-3,
        "beta1": 0.9,
        "beta2": 0.95,
        "w_flow": 1.0,
        "w_render": 0.3,
        "w_ssim": 0.8,
        "augment": _ATLAS_AUGMENT,
    },
}
"""Each preset's changes of the defaults above."""


def resolve(*layers: Mapping[str, Any], folder: Path | None = None) -> TrainConfig:
    """The settings from the defaults, then the preset, then each of ``layers``.

    A later layer overrides an earlier one. Mappings are merged. A bare number for a weight sets its
    start and keeps the end that an earlier layer set.

    Args:
        folder: the folder of the settings file that a person wrote, see :func:`validate`.

    Raises:
        ConfigError: a setting is invalid. The message lists every problem.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        merged = merge(merged, _with_ramps(layer, _from_number))
    preset = PRESETS.get(str(merged.get("preset", "poc05")), {})
    values = _with_ramps(merge(preset, merged), _with_start)
    return validate(TrainConfig, values, "settings", folder)


def _with_ramps(layer: Mapping[str, Any], change: Callable[[str, Any], Any]) -> Mapping[str, Any]:
    """``layer`` with ``change(term, value)`` in place of each weight that its schedule gives."""
    schedule = layer.get("schedule")
    if not isinstance(schedule, Mapping):
        return layer  # absent, or invalid: the model reports it
    changed = {k: change(k, v) if k in TERMS else v for k, v in schedule.items()}
    return {**layer, "schedule": changed}


def _from_number(term: str, value: Any) -> Any:
    return {"start": value} if is_number(value) else value


def _with_start(term: str, value: Any) -> Any:
    start = getattr(Schedule(), term).start
    return {"start": start, **value} if isinstance(value, Mapping) else value


def from_flags(given: Mapping[str, Any]) -> dict[str, Any]:
    """The flags of `uvtex train`, by their Python names, as a layer for :func:`resolve`.

    None means that the flag was not given.
    """
    values = {key: value for key, value in given.items() if value is not None}
    schedule: dict[str, Any] = {
        key: values.pop(key) for key in ("lr_scheduler", "lr_scheduler_tmax") if key in values
    }
    for term in TERMS:
        ends = {"start": values.pop(f"w_{term}", None), "end": values.pop(f"w_{term}_end", None)}
        given_ends = {key: value for key, value in ends.items() if value is not None}
        if given_ends:
            schedule[term] = given_ends
    return {**values, "schedule": schedule} if schedule else values
