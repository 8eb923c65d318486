"""Learning the reactive mode from a treebank of three dozen sentences."""

import dataclasses

import numpy as np
import pytest
from reactive_cases import SMALL, small_model, small_treebank

from dynamics import Parser, is_tree
from dynamics.conllu import Sentence
from dynamics.reactive.couplings import CROSSING, ROOT, Couplings
from dynamics.reactive.parser import ReactiveParser
from dynamics.reactive.store import MalformedParameters, load, save
from dynamics.reactive.train import MalformedSentences, find_treebank, main, train


def right(model, sentences):
    parser = ReactiveParser(model)
    parses = [parser.parse(one.tokens, one.upos) for one in sentences]
    return np.mean(
        [np.array_equal(p.heads, s.heads) and p.labels == s.labels for p, s in zip(parses, sentences, strict=True)]
    )


def test_the_treebank_is_learned():
    assert right(small_model(), small_treebank()) == 1.0


def test_without_fine_tags_too():
    model = train(small_treebank(xpos=False), SMALL)
    assert model.inventory.fine == ()
    assert right(model, small_treebank()) == 1.0


def test_fine_tags_are_found_and_given_ones_preferred():
    model = small_model()
    one = small_treebank()[0]
    found, given = model.encode(one.tokens, one.upos), model.encode(one.tokens, one.upos, one.xpos)
    np.testing.assert_array_equal(found.codes, given.codes)
    other = model.encode(one.tokens, one.upos, ["NNS", "_", "no such tag", *one.xpos[3:]])
    assert (other.codes != found.codes).any(axis=1).nonzero()[0].tolist() == [1]


def test_equal_seed_equal_file(tmp_path):
    again = train(small_treebank(), SMALL)
    save(tmp_path / "a.npz", small_model())
    save(tmp_path / "b.npz", again)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    save(tmp_path / "c.npz", train(small_treebank(), dataclasses.replace(SMALL, seed=1)))
    assert (tmp_path / "a.npz").read_bytes() != (tmp_path / "c.npz").read_bytes()


def test_a_file_holds_the_model(tmp_path):
    save(tmp_path / "model.npz", small_model())
    one = small_treebank()[4]
    first = ReactiveParser(small_model()).parse(one.tokens, one.upos)
    second = Parser.load(tmp_path / "model.npz").parse(one.tokens, one.upos)
    assert first.energy == second.energy
    assert (load(tmp_path / "model.npz").constants == small_model().constants).all()


def test_couplings_that_are_off_are_not_learned():
    model = train(small_treebank(), dataclasses.replace(SMALL, couplings=Couplings(*[False] * 6)))
    assert model.constants[CROSSING] == model.constants[ROOT] == 0.0
    assert np.count_nonzero(model.constants) == 2


def test_subtypes_are_cut_and_crossing_trees_are_kept():
    crossing = Sentence(("a", "b", "c", "d"), ("X",) * 4, (), (3, 0, 2, 1), ("x:y", "root", "x", "z"))
    model = train([crossing] * 3, SMALL)
    assert model.inventory.labels == ("root", "x", "z")
    assert model.decoder == "chu_liu_edmonds"
    assert small_model().decoder == "eisner"


def test_one_sentence_of_one_word_is_enough():
    model = train([Sentence(("a",), ("X",), ("_",), (0,), ("root",))], SMALL)
    assert ReactiveParser(model).parse(["b", "c"], ["X", "X"]).labels.count("root") == 1


def test_hundreds_of_labels_leave_every_word_a_state():
    model = train(
        [Sentence(("a", "b"), ("X", "Y"), (), (0, 1), ("root", f"label{number}")) for number in range(300)],
        dataclasses.replace(SMALL, coupling_epochs=1),
    )
    parse = ReactiveParser(model).parse(["c", "d", "e"], ["Z", "Z", "Z"])
    assert sorted(parse.labels)[-1] == "root"
    assert is_tree(parse.heads)


@pytest.mark.parametrize(
    ("sentences", "message"),
    [
        ([], "no sentences"),
        ([Sentence(("a",), ("X",), (), (0, 1), ("root",))], r"sentence 1 has columns of lengths \[1, 2\]"),
        ([Sentence(("a",), ("X",), (), (1,), ("root",))], r"sentence 1 has the heads \(1,\)"),
        ([Sentence(("a",), ("X",), (), (-1,), ("_",))], r"expected 0..1"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(sentences, message):
    with pytest.raises(MalformedSentences, match=message):
        train(sentences, SMALL)


def conllu(sentences):
    rows = []
    for one in sentences:
        for i, (form, upos, xpos, head, label) in enumerate(zip(*one, strict=True), 1):
            rows.append(f"{i}\t{form}\t_\t{upos}\t{xpos}\t_\t{head}\t{label}\t_\t_\n")
        rows.append("\n")
    return "".join(rows)


def test_the_command_trains_and_writes(tmp_path, capsys):
    (tmp_path / "xx-ud-train.conllu").write_text(conllu(small_treebank()))
    flags = [
        f"--{name.replace('_', '-')}={getattr(SMALL, name)}" for name in ("charge_bits", "coarse_bits", "label_bits")
    ]
    flags += ["--tag-bits=10", "--coupling-bits=12", "--coupling-epochs=3"]
    assert main(["--ud", str(tmp_path), "--out", str(tmp_path / "m.npz"), *flags]) == 0
    assert "36 sentences" in capsys.readouterr().out
    np.testing.assert_array_equal(load(tmp_path / "m.npz").constants, small_model().constants)


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    assert main(["--ud", str(tmp_path / "none"), "--out", str(tmp_path / "m.npz")]) == 2
    assert "is not there" in capsys.readouterr().err
    (tmp_path / "bad.conllu").write_text("1\ta\n\n")
    assert main(["--ud", str(tmp_path / "bad.conllu"), "--out", str(tmp_path / "m.npz")]) == 2
    assert "2 columns" in capsys.readouterr().err


def test_a_folder_must_name_one_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="has none"):
        find_treebank(tmp_path)
    for name in ("a-train.conllu", "b-train.conllu.xz"):
        (tmp_path / name).touch()
    with pytest.raises(FileNotFoundError, match=r"a-train.conllu, b-train.conllu.xz; name the file"):
        find_treebank(tmp_path)


def test_files_that_hold_no_model_are_refused(tmp_path):
    path = tmp_path / "m.npz"
    with pytest.raises(FileNotFoundError):
        load(path)
    path.write_bytes(b"nothing")
    with pytest.raises(MalformedParameters, match=r"cannot be read .*expected a file from python -m dynamics.reactive"):
        load(path)
    np.savez(path, schema=np.frombuffer(b"reactive.v0", np.uint8))
    with pytest.raises(MalformedParameters, match=r"has the schema \('reactive.v0',\)"):
        load(path)
    save(path, small_model())
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(MalformedParameters, match="cannot be read"):
        load(path)
    save(path, dataclasses.replace(small_model(), coupling_bits=13))
    with pytest.raises(MalformedParameters, match="sizes that do not fit"):
        load(path)
