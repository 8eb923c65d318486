"""The small language model that experiments train, and what it is trained and judged by.

model.py        one transformer; its attention is dense, or follows a plan of `sparse_attn`
linear.py       a state of constant size in the place of attention, to compare with
batches.py      the text in an order that a seed decides; the next plan is made while a GPU works
train.py        AdamW, checkpoints that survive kill -9, a log of JSON lines
distributed.py  several processes that train one model: DDP, FSDP2; same_loss.py shows that they train it as one does
run.py          one model by name, alone or by torchrun
data.py         novels split by author, cut into pieces, as one array of token ids
classes.py      a class for every entry of the vocabulary: predetermined, distributional, and controls
tags.py         for contrast: tags of a tagger that sees the whole text
making.py       from a pattern's name to rules; rules.py, bond rules in every mode
patterns.py     which pieces see which: named rules, at equal numbers of visible keys
evaluate.py     held-out nats per token, by position, with paired intervals
controls.py     all patterns trained alike, one line of JSON a run
steps.py        time and memory of whole training steps
generate.py     streams in constant memory
export.py       to transformers; hub.py, and back through the class cache
recall.py       probes of memory; agreement.py, probes of grammar
recipe.py       one training as a value; fleet.py, such jobs on GPUs; records.py, what is kept of them
"""
