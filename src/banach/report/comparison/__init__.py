"""Several runs side by side: methods over seeds, at equal steps and at equal time, as one page, CSV and LaTeX."""

from banach.report.comparison.comparison import Comparison, compare
from banach.report.comparison.folders import find_runs
from banach.report.comparison.members import Member, Scoring, read_member
from banach.report.comparison.methods import Method, methods_of
from banach.report.comparison.page import write_comparison
from banach.report.comparison.tables import as_csv, as_latex, as_mapping

__all__ = [
    "Comparison",
    "Member",
    "Method",
    "Scoring",
    "as_csv",
    "as_latex",
    "as_mapping",
    "compare",
    "find_runs",
    "methods_of",
    "read_member",
    "write_comparison",
]
