"""What the pipeline says of twenty words: a change here is a change of the table, and wants a new version of it."""

from __future__ import annotations

import pytest

from periodic_table import annotate
from periodic_table.table import group_of

GOLDEN = """
dog          NOUN   noun.animal       -               1 >nmod:poss
teacher      NOUN   noun.person       -               1 >det
water        NOUN   noun.substance    -               1 >case
bank         NOUN   noun.object       -               2 >case
city         NOUN   noun.location     -               2 >det
idea         NOUN   noun.cognition    -               5 >det
roadsweeper  NOUN   noun.person       -               1 >det
Paris        PROPN  noun.location     -               2 >case
give         VERB   verb.possession   give-13.1-1     3 >obj
sleep        VERB   verb.body         snooze-40.4-1   2 >nsubj
think        VERB   verb.cognition    wish-62         5 >nsubj
break        VERB   verb.change       break-45.1      3 >nsubj
want         VERB   verb.emotion      want-32.1-1-1   4 >nsubj
seem         VERB   verb.perception   seem-109-1-1-1  3 >xcomp
hibernate    VERB   verb.body         fit-54.3        2 >nsubj
red          ADJ    adj.all           -               3 <amod
happy        ADJ    adj.all           -               4 >cop
quickly      ADV    adv.all           -               4 <advmod
she          PRON   -                 -               4 <nsubj
the          DET    -                 -               5 <det
of           ADP    -                 -               5 <case
be           AUX    -                 -               5 <cop
"""


@pytest.mark.parametrize("line", GOLDEN.strip().splitlines())
def test_word(line: str) -> None:
    lemma, upos, supersense, verb_class, abstraction, group = line.split()
    element = annotate([lemma], [upos])[0]
    found = [element.supersense or "-", element.verb_class or "-", str(element.abstraction), group_of(element)]
    assert found == [supersense, verb_class, abstraction, group]
