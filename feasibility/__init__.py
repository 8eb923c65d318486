"""The judge: one experiment, one package, one claim, one verdict.

    python -m feasibility              # run everything, print the scorecard, write results/report.html
    python -m feasibility --list       # what exists, and which criteria of the roadmap it covers
    python -m feasibility.md_parser    # one experiment

The vocabulary lives in `feasibility.harness`, the roadmap's criteria in `feasibility.roadmap`, its decision
rules in `feasibility.decision`, and named data in `feasibility.datasets`.
"""

import os

# Small matrices: two threads of BLAS take longer than one, and round otherwise. Read when numpy is first imported;
# torch has threads of its own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# The experiments in the order in which the scorecard shows them: packages, each with an experiment.py.
EXPERIMENTS = (
    "md_parser",
    "periodic_table",
    "predetermined_embeddings",
    "hyperbolic_embeddings",
    "sparse_attention",
    "language_model",
    "h6",
    "long_context",
    "scaling",
)

__all__ = ["EXPERIMENTS"]
