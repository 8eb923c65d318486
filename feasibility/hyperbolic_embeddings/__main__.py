"""`python -m feasibility.hyperbolic_embeddings`."""

from feasibility.cli import main
from feasibility.hyperbolic_embeddings.experiment import EXPERIMENT

if __name__ == "__main__":
    main(EXPERIMENT)
