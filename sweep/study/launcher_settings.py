"""The setting that says where trials run."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from uvtex.settings import Settings


class LauncherSettings(Settings):
    """Where the workers run. ``launcher: ray`` is short for ``launcher: {kind: ray}``."""

    kind: Literal["local", "ray"] = "local"
    """``local``: processes on this machine. ``ray``: processes on the nodes of a Ray cluster."""
    address: str | None = Field(default=None, min_length=1)
    """Of the Ray cluster: ``auto`` (one that runs on this machine), ``local`` (a new one on this
    machine, for the study alone), ``HOST:PORT``, or ``ray://HOST:PORT``. None: ``auto``."""
    num_gpus: float | None = Field(default=None, ge=0)
    """Number of GPUs of each worker. With 0.5, two workers share a GPU. None: one if a node of the
    cluster has a GPU and ``train.device`` is not ``cpu``, otherwise none."""
    num_cpus: float | None = Field(default=None, gt=0)
    """Number of cores of each worker, and of its threads. None: one."""
    accelerator_type: str | None = Field(default=None, min_length=1)
    """The kind of GPU that each worker needs, by Ray's name, for instance ``A100``. None: any."""
    wait_seconds: float | None = Field(default=None, ge=0)
    """How long to wait at the start until the cluster has room for a worker. None: 60."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, values: Any) -> Any:
        return {"kind": values} if isinstance(values, str) else values

    @model_validator(mode="after")
    def _of_its_kind(self) -> LauncherSettings:
        given = [key for key in self.model_fields_set if key != "kind" and getattr(self, key)]
        if self.kind == "local" and given:
            raise ValueError(f"{', '.join(sorted(given))}: only a launcher of kind 'ray' takes it")
        if self.num_gpus is not None and self.num_gpus > 1 and self.num_gpus % 1:
            raise ValueError("num_gpus must be a fraction below 1, or a whole number")
        return self
