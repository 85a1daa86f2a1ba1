"""The report of a run: one self-contained HTML page made from a run folder alone."""

from banach.report.page import write_report
from banach.report.run import ReportError, Run, read_run

__all__ = ["ReportError", "Run", "read_run", "write_report"]
