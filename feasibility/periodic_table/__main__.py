"""`python -m feasibility.periodic_table`."""

from feasibility.cli import main
from feasibility.periodic_table.experiment import EXPERIMENT

if __name__ == "__main__":
    main(EXPERIMENT)
