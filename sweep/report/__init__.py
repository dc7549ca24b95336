"""What came of a study, as one HTML file that needs nothing beside it."""

from sweep.report.build import write_report

__all__ = ["write_report"]
