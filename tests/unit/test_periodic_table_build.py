"""The shipped files: rebuilt from their sources they have the same bytes. Without ASA_DATA only parts are tested."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from periodic_table import build, company_build, vocabulary
from periodic_table.element import UnknownTag
from periodic_table.lexicon import LexiconMissing, relations, relations_build, verbnet, verbnet_build
from periodic_table.lexicon.glosses import FUNCTION_WORDS, lemmatizer, phrases
from periodic_table.lexicon.relations import load_relations
from periodic_table.shipped import DATA
from periodic_table.slots import SLOT
from periodic_table.treebank import MalformedTreebank, count, read_conllu
from periodic_table.treebank_files import sentences

CONLLU = """# text = The dogs bark.
1\tThe\tthe\tDET\tDT\t_\t2\tdet\t_\t_
2\tdogs\tdog\tNOUN\tNNS\t_\t3\tnsubj\t_\t_
2.1\tx\tx\tX\tX\t_\t_\t_\t_\t_
3\tbark\tbark\tVERB\tVBP\t_\t0\troot\t_\t_
4\t.\t.\tPUNCT\t.\t_\t3\tpunct\t_\t_

"""


def same(path: Path, shipped: Path) -> bool:
    return path.read_bytes() == shipped.read_bytes()


def test_treebank_files_come_out_the_same(asa_data: Path, tmp_path: Path) -> None:
    counts = count(sentences("train", asa_data))
    built = [
        build.build_exceptions(asa_data / "nltk_data", tmp_path),
        build.build_closed(counts, tmp_path),
        build.build_valence(counts, tmp_path),
        build.build_kinds(tmp_path),
        build.build_table(counts, tmp_path),
    ]
    assert [path.name for path in built if not same(path, DATA / path.name)] == []


def test_periods_come_out_the_same(tmp_path: Path) -> None:
    path = build.build_periods(tmp_path)
    assert same(path, DATA / path.name)


def test_lexicon_files_come_out_the_same(asa_data: Path, tmp_path: Path) -> None:
    source = str(asa_data / "nltk_data")
    assert relations_build.main(["--source", source, "--out", str(tmp_path)]) == 0
    assert same(tmp_path / f"{relations.NAME}.npz", relations.FOLDER / f"{relations.NAME}.npz")
    assert verbnet_build.main(["--source", source, "--out", str(tmp_path / "verbnet.json")]) == 0
    assert same(tmp_path / "verbnet.json", verbnet.SHIPPED)


def test_tables_cover_the_treebank_as_the_bars_ask(asa_data: Path) -> None:
    from periodic_table import PeriodicTable

    tokens = [token for sentence in sentences("test", asa_data) for token in sentence]
    table = PeriodicTable.load("v1.0")
    assert np.mean([token.form in table for token in tokens]) > 0.79
    words = frozenset(vocabulary.useful_words(50_000))
    assert np.mean([vocabulary.covers(words, token.form, token.upos) for token in tokens]) > 0.985
    assert np.mean([vocabulary.covers(words, token.form, token.upos, classes=False) for token in tokens]) > 0.96


def test_sources_that_are_not_there_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ASA_DATA", raising=False)
    with pytest.raises(LexiconMissing, match="set ASA_DATA"):
        verbnet_build.corpora(None)
    with pytest.raises(LexiconMissing, match="is not there"):
        verbnet_build.corpora(tmp_path)
    assert verbnet_build.main(["--source", str(tmp_path)]) == 2
    assert relations_build.main(["--source", str(tmp_path)]) == 2
    assert build.main(["--data", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("error: LexiconMissing") == 3


def test_slots_are_counted_from_both_ends(tmp_path: Path) -> None:
    path = tmp_path / "x.conllu"
    path.write_text(CONLLU)
    counts = count(read_conllu(path))
    assert counts.occurrences == {("the", "DET"): 1, ("dog", "NOUN"): 1, ("bark", "VERB"): 1, (".", "PUNCT"): 1}
    assert counts.slots["bark", "VERB"][SLOT["nsubj", "head"]] == 1
    assert counts.slots["dog", "NOUN"] == {SLOT["nsubj", "dependent"]: 1, SLOT["det", "head"]: 1}
    assert counts.tags["dogs"] == {"NOUN": 1}


def test_malformed_treebanks_are_named_errors(tmp_path: Path) -> None:
    path = tmp_path / "x.conllu"
    for old, new, error, message in (
        ("\t_\t_\n2\t", "\t_\n2\t", MalformedTreebank, "line 2: 9 columns, expected 10"),
        ("\t3\tnsubj", "\tx\tnsubj", MalformedTreebank, "line 3: the head is 'x'"),
        ("\tNOUN\t", "\tNN\t", UnknownTag, "'NN'"),
    ):
        path.write_text(CONLLU.replace(old, new, 1))
        with pytest.raises(error, match=message):
            count(read_conllu(path))


def test_glosses_are_phrases_in_base_form() -> None:
    lemma = lemmatizer(lambda form, pos: {"barks": "bark", "dogs": "dog"}.get(form))
    gloss = 'makes (of dogs) a noise; "the dog barks at Mary"; "barks'
    assert list(phrases(gloss, lemma)) == [
        (False, ["makes"]),
        (False, ["of", "dog"]),
        (False, ["a", "noise"]),
        (True, ["the", "dog", "bark", "at", "mary"]),
        (True, ["bark"]),
    ]


def test_company_is_the_best_short_form_of_mutual_information() -> None:
    rng = np.random.default_rng(0)
    dense = np.triu(rng.poisson(0.6, (40, 40)).astype(float), 1)
    dense += dense.T
    row, column = np.nonzero(dense)
    matrix = company_build.ppmi((row, column, dense[row, column]), 40)
    whole = np.zeros((40, 40))
    whole[matrix[0], matrix[1]] = matrix[2]
    left, strength, _ = np.linalg.svd(whole)
    found = company_build.vectors(matrix, 40, 30, 5).astype(float)
    wanted = (left[:, :5] * np.sqrt(strength[:5]))[:30]
    cosines = np.abs((found * wanted).sum(axis=0)) / np.linalg.norm(found, axis=0) / np.linalg.norm(wanted, axis=0)
    # Rows are scaled one by one, so that columns agree up to that.
    assert (cosines > 0.9).all()
    scale = np.abs(wanted).max(axis=1, keepdims=True)
    signs = np.sign((found * wanted).sum(axis=0))
    np.testing.assert_allclose(found * signs, 127 * wanted / scale, atol=1.0)


def test_words_of_one_phrase_keep_company() -> None:
    (row, column, number), size = company_build.pairs(
        ["old dog; a cat sleeps"], lemmatizer(lambda form, pos: form), ["cat", "dog", "old", "sleeps"]
    )
    assert dict(zip(zip(row.tolist(), column.tolist(), strict=True), number.tolist(), strict=True)) == {
        (1, 2): 1.0,
        (2, 1): 1.0,
        (0, 3): 1.0,
        (3, 0): 1.0,
    }
    assert size == 4 + len(FUNCTION_WORDS)


def test_relations_hold_both_ways_where_they_should() -> None:
    shipped = load_relations()
    antonym = shipped.kind == shipped.symbols.index("!")
    pairs = set(map(tuple, shipped.pointers[antonym].tolist()))
    assert pairs == {(b, a) for a, b in pairs}
    assert len(shipped.terms) == len(set(shipped.terms)) == 17_602
    start, terms = shipped.definitions
    assert start[-1] == len(terms)
    assert len(start) == 117_660
