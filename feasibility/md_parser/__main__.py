"""`python -m feasibility.md_parser`."""

import sys

from feasibility.cli import main
from feasibility.md_parser.experiment import chosen

if __name__ == "__main__":
    main(chosen(sys.argv[1:]))
