from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from periodic_table.shipped import ModelCorrupt, ModelMissing, read_model, write_model
from periodic_table.tagging.build import accuracy, build, main, with_runs
from periodic_table.tagging.counts import FormCounts
from periodic_table.tagging.log_linear import pack, softmax, unpack
from periodic_table.tagging.looks import hashed, inner, normal, shape
from periodic_table.tagging.tagger import TAGS
from periodic_table.treebank_files import TreebankMissing, sentences

# The noun or verb "cut" is told apart by the word before it; the names are rare.
TRAIN = [
    [("the", "DET"), ("cut", "NOUN"), ("hurt", "VERB")],
    [("they", "PRON"), ("cut", "VERB"), ("bread", "NOUN")],
    [("Ann", "PROPN"), ("hurt", "VERB"), ("Bob", "PROPN")],
] * 20 + [[(name, "PROPN"), ("hurt", "VERB")] for name in ("Cid", "Dan", "Eve", "Fay")]


def test_three_taggers_learn_what_each_can_and_give_the_same_bytes_again() -> None:
    first, second = build(TRAIN, seed=3), build(TRAIN, seed=3)
    for name, (tagger, arrays) in first.items():
        assert tagger.name == name
        for key, array in arrays.items():
            assert array.tobytes() == second[name][1][key].tobytes()
    assert accuracy(first["type-level"][0], TRAIN) == pytest.approx(168 / 188)
    assert accuracy(first["left-to-right"][0], TRAIN) == 1.0
    assert accuracy(first["full-context"][0], TRAIN) == 1.0


def test_weights_survive_storing_to_a_127th_of_the_largest() -> None:
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**63, 50).astype(np.uint64)
    weights = rng.normal(size=(50, len(TAGS)))
    weights[7] = 0.01
    stored = unpack(pack(hashes, weights, least=0.1))
    assert len(stored.keys) == 49, "a feature without a weight that matters is dropped"
    kept = np.where(np.abs(weights) < 0.1, 0.0, weights)
    np.testing.assert_allclose(
        stored.score(hashes[:, None]), kept * (np.arange(50) != 7)[:, None], atol=np.abs(weights).max() / 253
    )
    assert (stored.score(np.array([[123]], dtype=np.uint64)) == 0).all(), "an unknown feature says nothing"
    np.testing.assert_allclose(softmax(np.array([[1e4, 0.0]])), [[1.0, 0.0]])


def test_counts_survive_storing_and_know_words_in_any_case() -> None:
    counts = FormCounts.of([("The", "DET"), ("the", "DET"), ("the", "X"), ("don’t", "AUX")])
    again = FormCounts.unpack(counts.pack())
    assert list(again.forms) == ["The", "don't", "the"]
    assert again.times("the") == 3
    assert again.times("cat") == 0
    assert again.words["the"][TAGS.index("DET")] == 2


def test_what_a_word_looks_like() -> None:
    assert [shape(form) for form in ("Ab12", "state-owned", "aaaaaa", "e\u0301", "€5", "日本")] == [
        "Xxdd", "xx-xx", "xx", "x?", "sd", "oo",
    ]  # fmt: skip
    assert "-ing" in inner("walking")
    assert "after - ned" in inner("state-owned")
    assert normal("x" * 10_000) == "x" * 40
    assert normal("don’t") == "don't"
    # Stable across processes and machines: the shipped weights are filed under these numbers.
    assert hashed("-ing") == 0x4CC1667785241E4E


def test_runs_join_every_other_eight_sentences() -> None:
    texts = [[(str(n), "NUM")] for n in range(20)]
    assert [len(text) for text in with_runs(texts)] == [1] * 8 + [8] + [1] * 4


def test_a_model_file_is_read_only_as_it_was_written(tmp_path: Path) -> None:
    write_model("m", {"a": np.arange(3)}, "s.v1", "made up", "none", tmp_path)
    assert read_model("m", "s.v1", "make m", tmp_path)["a"].tolist() == [0, 1, 2]
    with pytest.raises(ModelCorrupt, match=r"has schema 's.v1', expected 's.v2'; run: make m"):
        read_model("m", "s.v2", "make m", tmp_path)
    content = (tmp_path / "m.npz").read_bytes()
    (tmp_path / "m.npz").write_bytes(content[:-1] + b"!")
    with pytest.raises(
        ModelCorrupt, match=r"m.npz has sha256 [0-9a-f]+, expected [0-9a-f]+; build it anew with: make m"
    ):
        read_model("m", "s.v1", "make m", tmp_path)
    (tmp_path / "m.toml").write_text("not toml")
    with pytest.raises(ModelCorrupt, match="is not a TOML file"):
        read_model("m", "s.v1", "make m", tmp_path)
    (tmp_path / "m.npz").unlink()
    with pytest.raises(ModelMissing, match=r"m.npz is not there; build it with: make m"):
        read_model("m", "s.v1", "make m", tmp_path)


def test_a_build_without_a_treebank_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.delenv("ASA_DATA", raising=False)
    with pytest.raises(TreebankMissing, match="name a folder with --data, or set ASA_DATA"):
        sentences("train")
    assert main(["--data", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "en_ewt-ud-train.conllu nor en_ewt-ud-train.conllu.xz is there" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_treebanks_are_read_plain_and_compressed(tmp_path: Path) -> None:
    import lzma

    text = "# a comment\n1\tHi\thi\tINTJ\t_\t_\t0\troot\t_\t_\n\n"
    (tmp_path / "ud").mkdir()
    packed = tmp_path / "ud" / "en_ewt-ud-dev.conllu.xz"
    packed.write_bytes(lzma.compress(text.encode()))
    assert [[token.form for token in sentence] for sentence in sentences("dev", tmp_path)] == [["Hi"]]
    packed.with_suffix("").write_text(text * 2)
    assert len(sentences("dev", tmp_path)) == 2
