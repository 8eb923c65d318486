"""A spaCy component that gives each token its element and its word class.

    import periodic_table.integrations.spacy
    nlp.add_pipe("periodic_table", config={"size": 64})     # after whatever sets token.pos
    nlp("The dog sleeps.")[1]._.element                     # Element(lemma="dog", ...); ._.word_class is an integer

Where a token has no part of speech, or one that Universal Dependencies does not have (SPACE), it gets that of the
built-in tagger that is named in the configuration. spaCy's own taggers look at the whole sentence: with them, classes
are not for a causal language model.
"""

from __future__ import annotations

from collections.abc import Callable

from spacy.language import Language  # type: ignore[import-not-found,unused-ignore]
from spacy.tokens import Doc, Token  # type: ignore[import-not-found,unused-ignore]

from periodic_table.annotation import annotate
from periodic_table.element import UPOS
from periodic_table.tagging import load_tagger
from periodic_table.word_classes import classes

NAME = "periodic_table"


@Language.factory(
    NAME,
    assigns=["token._.element", "token._.word_class"],
    requires=["token.pos"],
    default_config={"size": 64, "tagger": "type-level"},
)
def create(nlp: Language, name: str, size: int, tagger: str) -> Callable[[Doc], Doc]:
    """Make the component.

    Args:
        nlp: the pipeline.
        name: of the component in it.
        size: number of word classes, as in `periodic_table.classes`.
        tagger: for tokens without a tag: "type-level", "left-to-right" or "full-context".

    Raises:
        periodic_table.word_classes.ClassSizeError: no such number of classes.
        periodic_table.tagging.UnknownTagger: no such tagger.
    """
    for attribute in ("element", "word_class"):
        if not Token.has_extension(attribute):
            Token.set_extension(attribute, default=None)
    own = load_tagger(tagger)
    classes([], size=size)

    def component(doc: Doc) -> Doc:
        words = [token.text for token in doc]
        tags = [token.pos_ if token.pos_ in UPOS else guess for token, guess in zip(doc, own.tag(words), strict=True)]
        for token, element, number in zip(doc, annotate(words, tags), classes(words, tags, size).tolist(), strict=True):
            token._.element, token._.word_class = element, number
        return doc

    return component
