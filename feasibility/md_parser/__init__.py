"""A parser made of forces: experiment.py on a toy grammar, treebank.py on a treebank (`--ud DIR`)."""
