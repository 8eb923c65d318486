"""`python -m feasibility.h6`."""

from feasibility.cli import main
from feasibility.h6.experiment import EXPERIMENT

if __name__ == "__main__":
    main(EXPERIMENT)
