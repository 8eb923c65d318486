"""The small language model that experiments train, and what it is trained and judged by.

model.py     one transformer; its attention is dense, or follows a plan of `sparse_attn`
train.py     AdamW, checkpoints that survive kill -9, a log of JSON lines
data.py      novels split by author, cut into pieces, as one array of token ids
classes.py   a class for every entry of the vocabulary: predetermined, distributional, and controls
patterns.py  which pieces see which: named rules, at equal numbers of visible keys
evaluate.py  held-out nats per token, by position, with paired intervals
controls.py  all patterns trained alike, one line of JSON a run
"""
