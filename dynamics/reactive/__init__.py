"""The reactive mode: bonds that compete and feel each other, with constants learned from a treebank.

    from dynamics.reactive.train import train      # sentences -> Model
    from dynamics.reactive.store import load, save # Model <-> file
    from dynamics.reactive.parser import ReactiveParser

`codes` and `features` turn words into numbers, `fine`, `arcs` and `labels` are log-linear models of single words and
bonds, `states`, `couplings`, `bonds` and `reaction` let the bonds of a sentence react, `unroll` learns the couplings,
or `points` in space that they follow from.
"""
