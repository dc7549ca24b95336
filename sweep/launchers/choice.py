"""The launcher that a study asks for."""

from __future__ import annotations

from collections.abc import Callable

from sweep.launchers.base import Launcher
from sweep.launchers.local import LocalLauncher, local_slots
from sweep.study.config import StudyConfig
from uvtex.errors import ConfigError


def check_launcher(study: StudyConfig) -> None:
    """Checks what can be known of a study's launcher without starting it.

    Raises:
        ConfigError: this machine lacks the device, or Ray's settings contradict each other.
    """
    device = str(study.train["device"])
    if study.launcher.kind == "ray":
        from sweep.launchers.ray_cluster.demand import Demand

        Demand.of(study.launcher, device)
    elif device != "auto":  # every machine has a device for that
        try:
            local_slots(device, study.workers)
        except ConfigError as error:
            raise ConfigError(f"train.{error}") from None


def make_launcher(study: StudyConfig, say: Callable[[str], None]) -> Launcher:
    """Starts the launcher of a study, whose data set is there.

    Args:
        say: told of what people should know, a line each.

    Raises:
        ConfigError: see :func:`check_launcher`; or Ray is not installed.
        UvtexError: the Ray cluster cannot be reached, or has no room for a worker.
    """
    device, folder = str(study.train["device"]), study.paths.folder
    if study.launcher.kind == "local":
        return LocalLauncher(local_slots(device, study.workers), folder)
    from sweep.launchers.ray_cluster.launcher import RayLauncher

    backbone = study.train.get("lpips_backbone")
    return RayLauncher(
        study.launcher,
        study.workers,
        device,
        folder,
        study.data.path,
        () if backbone is None else (str(backbone),),
        say,
    )
