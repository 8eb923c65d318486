"""WordNet through NLTK: the source that the shipped snapshot is built from, and the oracle it is checked against.

The only file of the project that imports NLTK. Bird, Klein and Loper (2009), Natural Language Processing with Python.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from periodic_table.lexicon.protocol import (
    POS,
    Lexicon,
    LexiconMissing,
    Pos,
    Sense,
    Synset,
    check_pos,
    covers,
    normal,
    unknown_synset,
)

# NLTK has satellites under "a".
_FILES = ("n", "v", "a", "r")


class NltkLexicon(Lexicon):
    """A lexicon over NLTK's WordNet corpus. Loads slowly, and NLTK's reader must not be shared among threads.

    Args:
        source: an NLTK data folder (with corpora/wordnet.zip or corpora/wordnet in it). Without it, the folders that
            NLTK searches (NLTK_DATA among them), and last $ASA_DATA/nltk_data.

    Raises:
        LexiconMissing: NLTK or its WordNet data are not there.
    """

    name = "nltk-wordnet"

    def __init__(self, source: Path | None = None) -> None:
        self.reader = _open_reader(source)
        self.version = str(self.reader.get_version())
        with self.reader.open("lexnames") as file:
            self.lexnames = tuple(line.split()[1] for line in file)
        self._lemmas = {file: frozenset(self.reader.all_lemma_names(file)) for file in _FILES}
        # Not Lemma.count(): it gives 0 for the 83 satellites whose head is written with a marker, "some(a)", in the
        # file that it reads, and searches that file anew for every sense.
        with self.reader.open("index.sense") as file:
            self._count = {key: int(count) for key, _, _, count in map(str.split, file)}

    def lemmas(self) -> Sequence[str]:
        """All words in lower case, sorted, each once."""
        return sorted(frozenset().union(*self._lemmas.values()))

    def synsets(self, pos: Pos | None = None) -> Iterator[Synset]:
        """All synsets, or those of one part of speech, in the order of WordNet's files."""
        check_pos(pos)
        files = _FILES if pos is None else (pos,)
        return (_record(synset) for file in files for synset in self.reader.all_synsets(file))

    def sizes(self) -> dict[Pos, int]:
        """How many synsets each part of speech has."""
        sizes = dict.fromkeys(POS, 0)
        for file in _FILES:
            for synset in self.reader.all_synsets(file):
                sizes[synset.pos()] += 1
        return sizes

    def senses(self, lemma: str, pos: Pos | None = None) -> tuple[Sense, ...]:
        """The meanings of a word in the order of their sense numbers; an unknown word has none."""
        check_pos(pos)
        lemma = normal(lemma)
        senses = []
        for file in (file for file in _FILES if lemma in self._lemmas[file]):
            forms: dict[Any, list[Any]] = {}
            # A synset may have a lemma in two spellings ("A", "a"): one sense.
            for form in self.reader.lemmas(lemma, file):
                forms.setdefault(form.synset(), []).append(form)
            for number, (synset, spellings) in enumerate(forms.items(), 1):
                if covers(pos, synset.pos()):
                    count = max(self._count.get(form.key(), 0) for form in spellings)
                    senses.append(Sense(lemma, synset.pos(), number, count, synset.name(), synset.lexname()))
        return tuple(senses)

    def synset(self, name: str) -> Synset:
        """The synset of a name: its own, or any of its words with the number of that word's sense.

        Raises:
            UnknownSynset: there is none; the message lists near matches.
        """
        return _record(self._find(name))

    def hyponyms(self, name: str) -> tuple[str, ...]:
        """Names of the synsets that are a kind of this one, sorted; one step down."""
        return _names(self._find(name).hyponyms())

    def instance_hyponyms(self, name: str) -> tuple[str, ...]:
        """Names of the synsets that are single cases of this one, sorted; one step down."""
        return _names(self._find(name).instance_hyponyms())

    def _find(self, name: str) -> Any:
        from nltk.corpus.reader.wordnet import WordNetError

        try:
            return self.reader.synset(normal(name))
        except (WordNetError, ValueError) as error:
            raise unknown_synset(self, name) from error


def _record(synset: Any) -> Synset:
    return Synset(
        name=synset.name(),
        pos=synset.pos(),
        lexname=synset.lexname(),
        lemmas=tuple(synset.lemma_names()),
        hypernyms=_names(synset.hypernyms()),
        instance_hypernyms=_names(synset.instance_hypernyms()),
    )


def _names(synsets: list[Any]) -> tuple[str, ...]:
    # NLTK keeps pointers in a set: their order differs from process to process.
    return tuple(sorted(synset.name() for synset in synsets))


def _open_reader(source: Path | None) -> Any:
    try:
        import nltk
        from nltk.corpus.reader.wordnet import WordNetCorpusReader
    except ImportError as error:
        raise LexiconMissing("NLTK is not installed; get it with: pip install 'nltk>=3.9.2'") from error
    # NLTK opens nothing outside the folders of this list.
    if source is not None:
        nltk.data.path.insert(0, str(source))
    elif os.environ.get("ASA_DATA"):
        nltk.data.path.append(str(Path(os.environ["ASA_DATA"]) / "nltk_data"))
    for resource in ("corpora/wordnet.zip/wordnet/", "corpora/wordnet"):
        try:
            root = nltk.data.find(resource)
        except LookupError:
            continue
        with warnings.catch_warnings():
            # It says that other languages are not available.
            warnings.simplefilter("ignore", UserWarning)
            return WordNetCorpusReader(root, omw_reader=None)
    raise LexiconMissing(
        f"NLTK's WordNet is not in {', '.join(nltk.data.path)}; get it with: python -m nltk.downloader wordnet, "
        "or set NLTK_DATA to a folder with corpora/wordnet.zip in it"
    )
