"""`python -m feasibility.sparse_attention`."""

from feasibility.cli import main
from feasibility.sparse_attention.experiment import EXPERIMENT

if __name__ == "__main__":
    main(EXPERIMENT)
