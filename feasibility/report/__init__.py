"""Results as one self-contained page: scorecard, decisions, a section an experiment; no network, no scripts of others.

python -m feasibility.report [--results DIR] [--out FILE] [--readme FILE]
"""

from feasibility.report.page import BadFigure, render, write_report

__all__ = ["BadFigure", "render", "write_report"]
