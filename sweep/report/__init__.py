"""The results of a study: its report as one HTML file, its summary, and comparisons of runs."""

from sweep.report.build import write_report

__all__ = ["write_report"]
