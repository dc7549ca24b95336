"""Where trials run."""

from sweep.launchers.base import Died, Ended, EpochEnded, Event, Failed, Job, Launcher, Started

__all__ = ["Died", "Ended", "EpochEnded", "Event", "Failed", "Job", "Launcher", "Started"]
