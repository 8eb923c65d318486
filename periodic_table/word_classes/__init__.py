"""Word classes: integers that stand for kinds of words, in as many kinds as are wanted.

    from periodic_table.word_classes import classes, class_table, describe
    classes(["the", "dog", "sleeps"], size=64)      # int64[3]
    class_table(tokeniser_vocabulary, size=256)     # int64[V]: classes of a text are table[token_ids]
    describe(64)[3].name                            # what a class holds

`python -m periodic_table.word_classes.build` makes the shipped tree of classes anew.
"""

from periodic_table.word_classes.assign import WordClass, class_table, classes, describe, names
from periodic_table.word_classes.tree import ClassSizeError

__all__ = ["ClassSizeError", "WordClass", "class_table", "classes", "describe", "names"]
