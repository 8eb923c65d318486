# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A parser made of forces
#
# In *the child sees a dog in the garden*, every word depends on another one: *the* on *child*, *child* on *sees*,
# and so on up to *sees*, which depends on nothing. Such a **dependency tree** is usually found by search. Here it
# is found by physics: the words become particles, compatible words attract each other, and the sentence is left
# to settle.
#
# Nothing is learned. How strongly two parts of speech attract is read off the ten rules of a toy grammar.
#
# The same as an experiment with a verdict: `python -m feasibility.md_parser`. Background:
# [docs/dynamics.md](../docs/dynamics.md).

# %%
import os
import tempfile
from pathlib import Path

import numpy as np
from IPython.display import HTML, SVG, Image, display

from dynamics import Parser, eisner, greedy, load_forcefield
from dynamics.animate import animate
from dynamics.conllu import parse_conllu
from dynamics.system import pair_charges, type_indices
from feasibility.harness import judge, silent
from feasibility.md_parser import experiment, figures, treebank_figures
from feasibility.toy_grammar.charges import rule_field
from feasibility.toy_grammar.rules import load_grammar
from feasibility.toy_grammar.sentences import sample
from feasibility.toy_grammar.valence import valences

# SMOKE=1 runs the experiment at the end on a few sentences only.
smoke = os.environ.get("SMOKE") == "1"

# %% [markdown]
# ## The grammar
#
# Each rule names its head, the child that the others depend on. The grammar is ambiguous: a prepositional phrase
# may belong to a noun (`NP -> NP PP`) or to a verb (`VP -> VP PP`). No parser that sees only parts of speech can
# always know which.

# %%
grammar = load_grammar()
for rule in grammar.rules:
    right = [f"[{symbol}]" if place == rule.head else symbol for place, symbol in enumerate(rule.right)]
    print(f"{rule.left:>3} -> {' '.join(right):16} weight {rule.weight:g}")
for tag, entry in grammar.lexicon.items():
    print(f"{tag:>4}: {', '.join(entry.words)}")

# %% [markdown]
# Sentences are drawn exactly from the grammar, given that their length lies in a range. The same seed gives the
# same sentences.

# %%
sentences = sample(grammar, 200, 5, 10, seed=(7, 7))
for sentence in sentences[:5]:
    print(" ".join(sentence.words))

# %% [markdown]
# ## Charges and valences
#
# The **charge** between a head and a dependent is the logarithm of a probability: given the dependent's tag, how
# often does its head have that tag and stand on that side? It follows from the rules by dynamic programming,
# without a single sentence. A dot stands for "never" (-7).

# %%
field = rule_field(grammar, load_forcefield().constants, 1, 20)
print("charge of a bond, dependent to the left | to the right of its head\n")
print("head \\ dependent " + "".join(f"{tag:>14}" for tag in field.types))
for row, head in enumerate(("ROOT", *field.types)):
    cells = ["|".join("   .  " if q == -7 else f"{q:5.1f} " for q in pair) for pair in field.charges[row, :, :, 0]]
    print(f"{head:>16} " + "".join(f"{cell:>14}" for cell in cells))

# %% [markdown]
# The **valence** says how many dependents of a kind a word needs and has room for. It is read off the rules, too:
# a noun has exactly one determiner, a preposition exactly one noun, a verb any number of adverbs.

# %%
for (tag, label), (least, most) in valences(grammar).items():
    print(f"{tag:>5} {label:9} {least:g} to {most:g}")

# %% [markdown]
# ## One sentence settles
#
# The words start as a chain, one and a half levels below ROOT. Height is rank: a dependent wants to hang one
# level below its head. Bonds are not on or off but have a strength, and the strengths of a word's possible bonds
# sum to 1. While the sentence cools they make up their minds. (In the page that the experiment writes, the same
# can be turned and replayed.)

# %%
parser = Parser(field)
shown, wrong = figures.examples(parser, sentences)
parse = parser.parse(shown.words, shown.tags, record=True)
upos = [grammar.lexicon[tag].upos for tag in shown.tags]
print(" ".join(shown.words), f"-> at rest after {parse.steps} steps, free energy {parse.energy:.2f} nat")
display(Image(data=animate(parse, shown.words, upos, ".gif")))

# %% [markdown]
# The strengths of the bonds of one word, step by step:

# %%
word = max(place for place, tag in enumerate(shown.tags) if tag == "P")
names = ["ROOT", *shown.words]
print(f"possible heads of {shown.words[word]!r}:")
for moment in (0, 1, 2, 5, 10, parse.steps):
    shares = parse.trajectory.populations[moment, word]
    heads = parse.trajectory.heads[word]
    strong = sorted(zip(shares, heads, strict=True), reverse=True)[:3]
    print(f"  step {moment:3}: " + ", ".join(f"{names[head]} {share:.2f}" for share, head in strong))

# %% [markdown]
# ## Right and wrong
#
# Above the words is the tree that was found, below them the gold tree, with the differences in red. Nearly all
# errors are of one kind: where a prepositional phrase belongs.

# %%
display(SVG(figures.arcs(parser, wrong)))

# %% [markdown]
# ## Against search
#
# A decoder can search the best tree for the very same charges, without any dynamics. The greedy one takes the
# best head of every word; Eisner's algorithm finds the best of all trees without crossing bonds.


# %%
def right_heads(tree_of) -> float:
    """Percent of the words of all sentences that get the right head."""
    right = sum((tree_of(s) == s.heads).sum() for s in sentences)
    return 100 * right / sum(len(s.words) for s in sentences)


def charges_of(s) -> np.ndarray:
    """The charges of all pairs; of equal ones the nearer head wins, as it does in space."""
    place = np.arange(len(s.tags) + 1)
    apart = np.abs(place[:, None] - place)
    apart[0] = 0
    return pair_charges(field, type_indices(field, s.tags)) - 1e-6 * apart


print(f"greedy      {right_heads(lambda s: greedy(charges_of(s))):5.1f} %")
print(f"Eisner      {right_heads(lambda s: eisner(charges_of(s))):5.1f} %")
print(f"relaxation  {right_heads(lambda s: parser.parse(s.words, s.tags).heads):5.1f} %")
for force in ("valence", "shadow", "hierarchy"):
    without = Parser(field.changed(**{force: 0.0}))
    print(f"  without {force:9} {right_heads(lambda s, p=without: p.parse(s.words, s.tags).heads):5.1f} %")

# %% [markdown]
# Against Eisner there is no clear difference once equal charges go to the nearer head. What carries the relaxation is
# not in the charges: space (near words meet first, and a bond must not pass below a higher word) and valence (two nouns
# cannot both be the subject). The springs that pull dependents
# to their level make the pictures, but on this grammar hardly any difference.
#
# ## Bonds that learn
#
# The **reactive mode** drops the metaphor's literal part and keeps its best idea. A bond has a label, and bonds feel
# each other: two bonds at one head (its valence), and a word's own bond with those of its dependents. How they do is
# learned from a treebank, and the words in space follow the bonds. `Parser.load()` brings parameters for English,
# trained on UD English EWT (Silveira et al. 2014, CC BY-SA 4.0).

# %%
english = Parser.load()
tagged = """The/DET editor/NOUN who/PRON read/VERB the/DET letter/NOUN with/ADP a/DET smile/NOUN
sent/VERB it/PRON back/ADV to/ADP her/PRON ./PUNCT"""
words, tags = zip(*[token.split("/") for token in tagged.split()], strict=True)
reacted = english.parse(words, tags)
for place, (word, head, label) in enumerate(zip(words, reacted.heads, reacted.labels, strict=True), 1):
    print(f"{place:2} {word:8} {label:10} {'ROOT' if head == 0 else words[head - 1]}")
print(f"at rest after {reacted.steps} steps")

# %% [markdown]
# The words need some more steps to follow their bonds to their levels: here they get forty.

# %%
watched = Parser.load(steps=40, tolerance=0.0).parse(words, tags, record=True)
display(Image(data=animate(watched, words, tags, ".gif")))

# %% [markdown]
# What two bonds at one head learned of each other. The diagonal is the valence: red pairs shun each other, and a head
# that has a determiner or a subject has little room for a second one; a verb has room for many obliques.

# %%
frequent = ["det", "amod", "case", "nsubj", "obj", "obl", "aux", "advmod", "conj", "nmod", "mark", "punct"]
display(SVG(treebank_figures.valence_map(english, [(label, side) for side in "◂▸" for label in frequent])))

# %% [markdown]
# Treebanks go in and come out as CoNLL-U; only heads and relations change.

# %%
row = "\t".join
text = "".join(
    row([str(place), word, "_", tag, "_", "_", "_", "_", "_", "_"]) + "\n"
    for place, (word, tag) in enumerate(zip(words, tags, strict=True), 1)
)
with tempfile.TemporaryDirectory() as folder:
    source, target = Path(folder) / "in.conllu", Path(folder) / "out.conllu"
    source.write_text("# text = " + " ".join(words) + "\n" + text + "\n", encoding="utf-8")
    print(parse_conllu(source, target, english))
    print(target.read_text(encoding="utf-8"))

# %% [markdown]
# Whether that beats exact search on the very same charges is judged on a treebank:
# `python -m feasibility.md_parser --ud DIR`, figures in [docs/dynamics.md](../docs/dynamics.md). Below is the
# experiment that needs no data.
#
# ## The experiment

# %%
config = experiment.EXPERIMENT.smoke if smoke else experiment.Config()
outcome = experiment.run(config, silent)
record = judge(experiment.EXPERIMENT, config, outcome, smoke=smoke, started_utc="", wall_s=0.0)
for criterion in record["criteria"]:
    low, high = criterion["ci95"]
    passed = {True: "yes", False: "no", None: "undecided"}[criterion["passed"]]
    print(
        f"{criterion['metric']:16} {criterion['value']:8.2f} [{low:.2f}, {high:.2f}] {criterion['unit']:7}"
        f"{criterion['op']} {criterion['threshold']:<4} {passed}"
    )
print("\nverdict:", record["verdict"])
print(outcome.finding)

# %%
for artifact in outcome.artifacts:
    if artifact.name in ("accuracy.svg", "steps.svg", "cost.svg"):
        display(HTML(f"<p>{artifact.caption}</p>"), SVG(artifact.content))
