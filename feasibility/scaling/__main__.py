"""`python -m feasibility.scaling`."""

from feasibility.cli import main
from feasibility.scaling.experiment import EXPERIMENT

if __name__ == "__main__":
    main(EXPERIMENT)
