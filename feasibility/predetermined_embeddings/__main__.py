"""`python -m feasibility.predetermined_embeddings`."""

from feasibility.cli import main
from feasibility.predetermined_embeddings.experiment import EXPERIMENT

if __name__ == "__main__":
    main(EXPERIMENT)
