from __future__ import annotations

import pytest

spacy = pytest.importorskip("spacy", reason="spaCy is an extra")

from spacy.tokens import Doc  # noqa: E402

import periodic_table.integrations.spacy  # noqa: E402, F401
from periodic_table.element import Element  # noqa: E402
from periodic_table.word_classes import ClassSizeError, classes  # noqa: E402


def test_tokens_get_elements_and_classes() -> None:
    nlp = spacy.blank("en")
    component = nlp.add_pipe("periodic_table", config={"size": 256})
    words, tags = ["The", "dog", "sleeps"], ["DET", "NOUN", "VERB"]
    doc = component(Doc(nlp.vocab, words=words, pos=tags))
    assert all(isinstance(token._.element, Element) for token in doc)
    assert [token._.element.pos for token in doc] == tags
    assert [token._.word_class for token in doc] == classes(words, tags, 256).tolist()


def test_tokens_without_a_tag_get_that_of_the_built_in_tagger() -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("periodic_table", config={"tagger": "full-context"})
    doc = nlp("The  dog sleeps.")
    assert [token._.element.pos for token in doc] == ["DET", "X", "NOUN", "VERB", "PUNCT"]
    assert nlp.analyze_pipes()["problems"] == {"periodic_table": ["token.pos"]}


def test_a_wrong_size_is_refused_when_the_pipeline_is_made() -> None:
    with pytest.raises(ClassSizeError, match="size is 5"):
        spacy.blank("en").add_pipe("periodic_table", config={"size": 5})
