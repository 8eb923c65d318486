"""`python -m feasibility.long_context`."""

from feasibility.cli import main
from feasibility.long_context.experiment import EXPERIMENT

if __name__ == "__main__":
    main(EXPERIMENT)
