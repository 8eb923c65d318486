"""A toy grammar with heads: its file format, exact sampling, exact parsing, and the force field that it implies.

`rules` reads and checks a grammar, `sentences` draws from it, `exact` parses with it (the ceiling), `charges` reads a
force field off it.
"""
