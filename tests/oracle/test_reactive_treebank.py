"""The shipped English parameters on a treebank: dev of EWT, gold tokens and tags, punctuation included."""

from itertools import islice

import numpy as np

from dynamics import Parser, attachment, eisner, read_conllu


def test_english_ewt(asa_data):
    parser = Parser.load()
    counts, static, steps = [], [], []
    for one in islice(read_conllu(asa_data / "ud" / "en_ewt-ud-dev.conllu.xz"), 0, None, 8):
        gold = one.heads, [label.split(":")[0] for label in one.labels]
        parse = parser.parse(one.tokens, one.upos)
        counts.append(attachment(parse.heads, parse.labels, *gold))
        static.append(int((eisner(parser.charges(one.tokens, one.upos)) == np.array(one.heads)).sum()))
        steps.append(parse.steps)
        assert parse.converged or parse.steps == 100
    words, heads, labelled = np.sum(counts, axis=0)
    # A sample of 250 sentences; the whole is judged by the experiment.
    assert heads / words > 0.88
    assert labelled / words > 0.86
    assert (heads - sum(static)) / words > 0.02
    assert np.mean(steps) < 10
