"""What each worker asks of a Ray cluster, and how many of them a cluster has room for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.launchers.local import THREADS, Slot
from sweep.study.launcher_settings import LauncherSettings
from uvtex.device_names import DeviceName
from uvtex.errors import ConfigError

Node = Mapping[str, Any]
"""A node as ``ray.nodes()`` tells it."""


@dataclass(frozen=True)
class Demand:
    """The resources of each worker."""

    num_cpus: float
    num_gpus: float
    accelerator_type: str | None
    device: str
    """The device as the worker's PyTorch names it. Ray shows a worker its own GPUs only."""

    @classmethod
    def of(cls, settings: LauncherSettings, device: str, nodes: Sequence[Node] = ()) -> Demand:
        """The demand of a study's workers.

        Args:
            device: the ``device`` of the training settings.
            nodes: those of the cluster, by which ``num_gpus`` is chosen if it is not set.

        Raises:
            ConfigError: device and launcher contradict each other.
        """
        name = DeviceName.parse(device)
        if name.index is not None:
            raise ConfigError(
                f"train.device: {device!r} is one GPU of a machine, and Ray gives each worker its "
                f"own; set {name.kind!r} or 'auto'"
            )
        gpus = settings.num_gpus
        if name.kind == "cpu" and (gpus or settings.accelerator_type):
            raise ConfigError(
                "launcher: it asks for GPUs, and train.device is 'cpu'; set train.device to "
                "'auto', or remove num_gpus and accelerator_type"
            )
        if gpus == 0 and name.kind not in ("cpu", "auto"):
            raise ConfigError(
                f"launcher.num_gpus: 0 leaves no device for train.device {device!r}; set 1 or a "
                "fraction, or train.device to 'cpu'"
            )
        if gpus is None:
            asked = name.kind not in ("cpu", "auto") or settings.accelerator_type is not None
            there = name.kind == "auto" and any(_has(node, "GPU") > 0 for node in nodes)
            gpus = 1.0 if asked or there else 0.0
        wanted = "cuda" if name.kind == "auto" else name.kind
        cpus = 1.0 if settings.num_cpus is None else settings.num_cpus
        return cls(cpus, gpus, settings.accelerator_type, wanted if gpus else "cpu")

    def room(self, node: Node) -> int:
        """How many workers a node has room for, if nothing else runs there."""
        if not node["Alive"]:
            return 0
        asked = {"CPU": self.num_cpus, "GPU": self.num_gpus}
        if self.accelerator_type and not _has(node, f"accelerator_type:{self.accelerator_type}"):
            return 0
        return int(min(_has(node, k) / v + 1e-9 for k, v in asked.items() if v))

    def options(self, banned: Collection[str]) -> dict[str, Any]:
        """The options of a worker's actor. It is never placed on the ``banned`` nodes."""
        options: dict[str, Any] = {"num_cpus": self.num_cpus, "num_gpus": self.num_gpus}
        if self.accelerator_type is not None:
            options["accelerator_type"] = self.accelerator_type
        if banned:
            options["label_selector"] = {"ray.io/node-id": f"!in({','.join(sorted(banned))})"}
        return options

    def slot(self, name: str) -> Slot:
        """The slot of a worker, which starts as many threads as it has cores."""
        threads = dict.fromkeys(THREADS, str(max(1, int(self.num_cpus))))
        return Slot(name, self.device, threads | {"OMP_WAIT_POLICY": "PASSIVE"})

    def __str__(self) -> str:
        gpus = "" if not self.num_gpus else f" and {self.num_gpus:g} {_GPU}"
        kind = "" if self.accelerator_type is None else f" of type {self.accelerator_type}"
        return f"{self.num_cpus:g} CPU{gpus}{kind}"


_GPU = "GPU"


def described(nodes: Sequence[Node]) -> str:
    """The living nodes with their resources, for a message."""
    alive = [node for node in nodes if node["Alive"]]
    return "; ".join(_described(node) for node in alive) or "none"


def _described(node: Node) -> str:
    kinds = [key for key in node["Resources"] if key.startswith("accelerator_type:")]
    types = "".join(f" ({kind.partition(':')[2]})" for kind in kinds)
    return f"{node['NodeManagerHostname']}: {_has(node, 'CPU'):g} CPU, " + (
        f"{_has(node, 'GPU'):g} GPU{types}"
    )


def _has(node: Node, resource: str) -> float:
    return float(node["Resources"].get(resource, 0.0))
