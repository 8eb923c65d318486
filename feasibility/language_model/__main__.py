"""`python -m feasibility.language_model`."""

from feasibility.cli import main
from feasibility.language_model.experiment import EXPERIMENT

if __name__ == "__main__":
    main(EXPERIMENT)
