"""The table as a poster that looks like the periodic table: one cell a word.

    python -m periodic_table.poster --out table.svg                     # the hundred words
    python -m periodic_table.poster --version v1.0 --out table.html     # a thousand, with search and details

Columns are groups (what a word bonds with), rows are periods (how abstract it is, 1 to 5 downwards), colours are blocks
(parts of speech). A group is as many cells wide, and a period as many high, as its words need. Function words stand
below, as the rare earths do in the other table.
"""

from periodic_table.poster.layout import Cell, Poster, lay_out
from periodic_table.poster.render import draw

__all__ = ["Cell", "Poster", "draw", "lay_out"]
