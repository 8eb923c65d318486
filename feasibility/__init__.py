"""The judge: one experiment, one file, one claim, one verdict.

    python -m feasibility              # run everything, print the scorecard, write results/report.html
    python -m feasibility --list       # what exists, and which criteria of the roadmap it covers
    python -m feasibility.md_parser    # one experiment

The vocabulary lives in `feasibility.harness`, the roadmap's criteria in `feasibility.roadmap`, its decision
rules in `feasibility.decision`, and named data in `feasibility.datasets`.
"""

# The experiments in the order in which the scorecard shows them: module names below `feasibility`.
EXPERIMENTS = (
    "md_parser",
    "periodic_table",
    "predetermined_embeddings",
    "hyperbolic_embeddings",
    "sparse_attention",
    "language_model",
)

__all__ = ["EXPERIMENTS"]
