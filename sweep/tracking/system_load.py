"""Samples the load of this machine while runs train, with MLflow's own monitor."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

SAMPLE_SECONDS = 5.0
"""Between two samples: the runs of the quickstart last half a minute."""


class SystemLoad:
    """One monitor for each MLflow run that is training; each is a thread of MLflow's."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._monitors: dict[str, SystemMetricsMonitor] = {}

    def start(self, run_id: str) -> None:
        """Samples for ``run_id`` from now on; a second call changes nothing."""
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        if run_id not in self._monitors:
            monitor = SystemMetricsMonitor(
                run_id,
                sampling_interval=SAMPLE_SECONDS,
                resume_logging=True,
                tracking_uri=self._uri,
            )
            monitor.start()
            self._monitors[run_id] = monitor

    def stop(self, run_id: str) -> None:
        """Ends the samples for ``run_id``, if there are any."""
        monitor = self._monitors.pop(run_id, None)
        if monitor is not None:
            monitor.finish()

    def stop_all(self) -> None:
        """Ends all samples."""
        for run_id in list(self._monitors):
            self.stop(run_id)
