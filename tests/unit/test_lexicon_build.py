from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from periodic_table import Lexicon, LexiconCorrupt, LexiconMissing, Sense, Synset
from periodic_table.lexicon import build, nltk_reader
from periodic_table.lexicon.snapshot import Snapshot, read_snapshot
from periodic_table.lexicon.storage import Manifest

ROOT = Path(__file__).resolve().parents[2]


class Small(Lexicon):
    """A lexicon of five synsets: spellings that differ in case, an instance, two parents, satellites."""

    name, version, lexnames = "small", "1", ("adj.all", "noun.animal")
    reader = SimpleNamespace(license=lambda: "WordNet Release 3.0 ...")
    records = (
        Synset("animal.n.01", "n", "noun.animal", ("animal",), (), ()),
        Synset("pet.n.01", "n", "noun.animal", ("pet",), ("animal.n.01",), ()),
        Synset("rex.n.01", "n", "noun.animal", ("Rex", "rex", "REX"), ("animal.n.01", "pet.n.01"), ("animal.n.01",)),
        Synset("pet.s.01", "s", "adj.all", ("pet",), (), ()),
        Synset("able.s.01", "s", "adj.all", ("able",), (), ()),
    )

    def lemmas(self):
        return ["able", "animal", "pet", "rex"]

    def synsets(self, pos=None):
        return (record for record in self.records if pos in (None, record.pos))

    def senses(self, lemma, pos=None):
        found = [record for record in self.records if lemma in map(str.lower, record.lemmas)]
        return tuple(Sense(lemma, record.pos, 1, len(lemma), record.name, record.lexname) for record in found)


@pytest.fixture
def packed() -> Snapshot:
    return Snapshot(Manifest("packed", "1", "", "", ""), build.pack(Small()))


def test_any_lexicon_survives_packing(packed) -> None:
    assert list(packed.synsets()) == list(Small.records)
    assert packed.lemmas() == ("able", "animal", "pet", "rex")
    assert all(packed.senses(lemma) == Small().senses(lemma) for lemma in packed.lemmas())
    assert packed.hyponyms("animal.n.01") == ("pet.n.01", "rex.n.01")
    assert packed.instance_hyponyms("animal.n.01") == ("rex.n.01",)


def test_an_edge_that_is_both_kind_and_instance_counts_once(packed) -> None:
    edges = [("pet.n.01", "animal.n.01"), ("rex.n.01", "animal.n.01"), ("rex.n.01", "pet.n.01")]
    assert packed.subtree("animal.n.01") == Lexicon.subtree(packed, "animal.n.01") == edges


def test_a_source_that_is_not_the_whole_of_wordnet_is_refused() -> None:
    with pytest.raises(LexiconCorrupt, match="3 noun synsets instead of 82,115; 0 verb synsets instead of 13,767"):
        build.check_sizes(build.pack(Small()))


def test_a_build_writes_checks_and_reads_back(tmp_path, monkeypatch) -> None:
    figures = (3, 0, 2, 2, 0, 2, 4, 7, 5)
    monkeypatch.setattr(build, "EXPECTED", dict(zip(build.EXPECTED, figures, strict=True)))
    snapshot = build.build(Small(), tmp_path / "new" / "small.npz")
    assert list(snapshot.synsets()) == list(Small.records)
    assert snapshot.sha256 == hashlib.sha256((tmp_path / "new" / "small.npz").read_bytes()).hexdigest()
    again = build.build(Small(), tmp_path / "again" / "small.npz")
    assert again.sha256 == snapshot.sha256
    assert read_snapshot(tmp_path / "new" / "small.npz").senses("pet") == snapshot.senses("pet")


def test_a_number_that_does_not_fit_is_an_error_not_another_number() -> None:
    with pytest.raises(OverflowError):
        build._integers([70_000], "<u2")


class Altered(Small):
    """NLTK, as it would be if it disagreed with what was packed from it."""

    records = (*Small.records[:1], Synset("pet.n.01", "n", "noun.animal", ("pet",), (), ()), *Small.records[2:])


def test_a_snapshot_that_differs_from_its_source_is_refused(packed) -> None:
    build.check_against(packed, Small())
    with pytest.raises(LexiconCorrupt, match=r"pet.n.01 came out as .*animal.n.01.*, NLTK has"):
        build.check_against(packed, Altered())


class OldNaming(Small):
    def senses(self, lemma, pos=None):
        return (Sense("able", "s", 2, 7, "able.s.02", "adj.all"),)


def test_an_nltk_that_names_satellites_in_the_old_way_is_refused(tmp_path) -> None:
    with pytest.raises(LexiconCorrupt, match=r"names adjective satellites in the old way; .*nltk>=3.9.2"):
        build.build(OldNaming(), tmp_path / "x.npz")
    assert not list(tmp_path.iterdir())


def test_without_nltk_the_builder_says_how_to_get_it(monkeypatch, capsys, tmp_path) -> None:
    monkeypatch.setitem(sys.modules, "nltk", None)
    assert build.main(["--out", str(tmp_path / "x.npz")]) == 2
    assert "LexiconMissing: NLTK is not installed; get it with: pip install 'nltk>=3.9.2'" in capsys.readouterr().err


def test_without_its_data_the_reader_says_how_to_get_them(monkeypatch, tmp_path) -> None:
    nltk = pytest.importorskip("nltk")
    monkeypatch.setattr(nltk.data, "path", [])
    monkeypatch.delenv("ASA_DATA", raising=False)
    with pytest.raises(LexiconMissing, match=r"get it with: python -m nltk.downloader wordnet, or set NLTK_DATA"):
        nltk_reader.NltkLexicon(tmp_path)


def test_the_builders_help_needs_no_nltk() -> None:
    code = 'import sys; sys.modules["nltk"] = None; from periodic_table.lexicon.build import main; main(["--help"])'
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert done.returncode == 0
    assert "--source" in done.stdout
    assert "--out" in done.stdout


def test_arrays_have_the_types_that_the_file_states() -> None:
    types = {name: array.dtype for name, array in build.pack(Small()).items()}
    assert types["synset_forms"] == types["sense_synset"] == types["hypernyms"] == np.dtype("<i4")
    assert types["sense_count"] == np.dtype("<u2")
