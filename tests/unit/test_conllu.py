"""CoNLL-U in and out: what is kept, what is refused where, and what is left out when asked."""

import gzip
import lzma
from types import SimpleNamespace

import conllu
import numpy as np
import pytest

from dynamics.conllu import MalformedTreebank, Skipped, main, parse_conllu, read_conllu

GOOD = (
    "# sent_id = 1\n"
    "#text=We don't  go.\n"
    "# a comment = twice\n"
    "# a comment = twice\n"
    "1\tWe\twe\tPRON\tPRP\tCase=Nom|Person=1\t4\tnsubj\t4:nsubj|4.1:nsubj:xsubj\t_\n"
    "2-3\tdon't\t_\t_\t_\t_\t_\t_\t_\tSpaceAfter=No|x\n"
    "2\tdo\tdo\tAUX\tVBP\t_\t4\taux\t4:aux\tB=2|A=1|A=1\n"
    "3\tn't\tnot\tPART\tRB\t_\t4\tadvmod:neg\t4:advmod\t_\n"
    "4\tgo  on\tgo\tVERB\tVB\t_\t0\troot\t0:root\tNote= odd  spaces \n"
    "4.1\tgo\tgo\tVERB\tVB\t_\t_\t_\t4:conj\t_\n"
    "\n"
)
SHORT = "1\tYes\tyes\tINTJ\tUH\t_\t0\troot\t_\t_\n\n"


class Chain:
    """A parser of chains: every word hangs on the one before it."""

    def parse(self, tokens, upos, record=False, xpos=None):
        assert len(tokens) == len(upos) == len(xpos)
        if "?" in upos:
            raise ValueError("unknown tag ?")
        return SimpleNamespace(heads=np.arange(len(tokens)), labels=("root", *["dep"] * (len(tokens) - 1)))


def written(tmp_path, content, name="bank.conllu"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def row(number, head, columns=10):
    return "\t".join([str(number), "w", "w", "X", "_", "_", str(head), "dep", "_", "_"][:columns]) + "\n"


def test_gold_trees_are_read_without_multiword_tokens_and_empty_nodes(tmp_path):
    first, second = read_conllu(written(tmp_path, GOOD + SHORT))
    assert first.tokens == ("We", "do", "n't", "go  on")
    assert first.upos == ("PRON", "AUX", "PART", "VERB")
    assert first.xpos == ("PRP", "VBP", "RB", "VB")
    assert first.heads == (4, 4, 4, 0)
    assert first.labels == ("nsubj", "aux", "advmod:neg", "root")
    assert second.tokens == ("Yes",)


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("suffix", ["", ".xz", ".gz"])
def test_only_heads_and_relations_change(tmp_path, ends, suffix):
    pack, unpack = {
        "": (bytes, bytes),
        ".xz": (lzma.compress, lzma.decompress),
        ".gz": (gzip.compress, gzip.decompress),
    }[suffix]
    text = (GOOD + "\n" + SHORT.rstrip("\n") + "\n").replace("\n", ends)
    path, out = written(tmp_path, pack(text.encode()), f"bank.conllu{suffix}"), tmp_path / f"out.conllu{suffix}"
    report = parse_conllu(path, out, Chain())
    assert (report.sentences, report.words, report.skipped) == (2, 5, ())
    expected = text
    for old, new in (
        ("\t4\tnsubj\t", "\t0\troot\t"),
        ("\t4\taux\t", "\t1\tdep\t"),
        ("\t4\tadvmod:neg\t", "\t2\tdep\t"),
        ("\t0\troot\t0:root", "\t3\tdep\t0:root"),
    ):
        assert expected.count(old) == 1
        expected = expected.replace(old, new)
    assert unpack(out.read_bytes()) == expected.encode()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([path.name, out.name]), "no scratch file is left"


def test_what_is_written_can_be_read_by_the_library(tmp_path):
    out = tmp_path / "out.conllu"
    # The library takes two spaces for a tab, which is one reason why it does not do the writing.
    parse_conllu(written(tmp_path, GOOD.replace("go  on", "go")), out, Chain())
    (sentence,) = conllu.parse(out.read_text(encoding="utf-8"))
    assert [token["head"] for token in sentence if isinstance(token["id"], int)] == [0, 1, 2, 3]


def test_a_file_can_be_parsed_onto_itself_and_equal_input_gives_equal_bytes(tmp_path):
    path = written(tmp_path, gzip.compress(GOOD.encode()), "bank.conllu.gz")
    parse_conllu(path, tmp_path / "a.conllu.gz", Chain())
    parse_conllu(path, path, Chain())
    assert path.read_bytes() == (tmp_path / "a.conllu.gz").read_bytes()


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (row(1, 2) + row(2, 1) + row(3, 0), 1, "the heads of word 1 go in a circle"),
        (row(1, 0) + row(2, 2), 2, "the heads of word 2 go in a circle"),
        ("# c\n" + row(1, 0) + row(2, 0), 3, "2 words have HEAD 0; expected exactly one root"),
        (row(1, 2) + row(2, 1), 1, "0 words have HEAD 0"),
        (row(1, 0) + row(2, 3), 2, "HEAD is 3; expected at most 2"),
        (row(1, -1), 1, "HEAD is -1; expected 0 for ROOT"),
        (row(1, "x"), 1, "HEAD a number or _"),
        (row(1, 0, columns=9), 1, "9 columns; expected 10"),
        (row(1, 0).replace("\t", " "), 1, "1 columns; expected 10"),
        (row("a", 0), 1, "'a' is not a valid ID"),
        (row("1.5.2", 0), 1, "not a valid ID"),
        (row(2, 0), 1, "ID is 2 after 0 words; expected 1"),
        (row(1, 0) + row(1, 1), 2, "ID is 1 after 1 words; expected 2"),
        (row("3-2", "_") + row(1, 0), 1, "not a valid ID"),
        (row("2-3", "_") + row(1, 0), 1, "ID is 2-3 after 0 words"),
        (row("_", 0), 1, "ID is _ after 0 words"),
        (row("9" * 5000, 0), 1, "HEAD a number or _"),
        (row(1, "9" * 5000), 1, "HEAD a number or _"),
        (row("1-2", "_") + row(1, 0), 1, "a multiword token ends at word 2; expected at most 1"),
        (row("1-2", "_") + row(1, 0) + row("2-3", "_") + row(2, 1) + row(3, 1), 3, "ID is 2-3 after 1 words"),
        ("# only a comment\n", 1, "no words in the sentence"),
        (row(1, 0).replace("w", "\udcff", 1), 1, "byte 3 is 0xff; expected UTF-8 text"),
    ],
)
@pytest.mark.parametrize("gold", [True, False])
def test_malformed_sentences_are_named_by_file_and_line(tmp_path, content, line, message, gold):
    before = GOOD.count("\n")
    path = written(tmp_path, (GOOD + content + "\n" + SHORT).encode("utf-8", "surrogateescape"))
    out, skipped = tmp_path / "out.conllu", []
    with pytest.raises(MalformedTreebank, match=f"bank.conllu:{before + line}: .*{message}"):
        list(read_conllu(path)) if gold else parse_conllu(path, out, Chain())
    assert not out.exists()
    if gold:
        assert [len(s.tokens) for s in read_conllu(path, skip_bad=True, skipped=skipped)] == [4, 1]
    else:
        report = parse_conllu(path, out, Chain(), skip_bad=True)
        assert (report.sentences, report.words) == (2, 5)
        skipped = list(report.skipped)
        assert len(conllu.parse(out.read_text(encoding="utf-8"))) == 2
    assert [place for place, _ in skipped] == [before + line]
    assert isinstance(skipped[0], Skipped)
    assert message.replace("\\", "") in skipped[0].why


def test_heads_may_be_missing_where_they_are_to_be_found_but_not_in_gold(tmp_path):
    path = written(tmp_path, row(1, "_") + row(2, "_") + "\n")
    assert parse_conllu(path, tmp_path / "out.conllu", Chain()).words == 2
    with pytest.raises(MalformedTreebank, match=r"bank.conllu:1: HEAD is _; expected a head for every word"):
        list(read_conllu(path))
    path = written(tmp_path, (row(1, 0) + row(2, 1)).replace("dep", "_"))
    with pytest.raises(MalformedTreebank, match=r"bank.conllu:1: DEPREL is _"):
        list(read_conllu(path))


def test_a_mark_at_the_beginning_of_the_file_is_carried_over(tmp_path):
    path, out = written(tmp_path, "\ufeff" + SHORT), tmp_path / "out.conllu"
    assert next(read_conllu(path)).tokens == ("Yes",)
    parse_conllu(path, out, Chain())
    assert out.read_text(encoding="utf-8") == "\ufeff" + SHORT


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_empty_file_is_refused_or_gives_an_empty_one(tmp_path, content):
    path, out = written(tmp_path, content), tmp_path / "out.conllu"
    for action in (lambda: list(read_conllu(path)), lambda: parse_conllu(path, out, Chain())):
        with pytest.raises(MalformedTreebank, match=r"bank.conllu:1: no sentence in the file"):
            action()
    assert not out.exists()
    assert list(read_conllu(path, skip_bad=True)) == []
    assert parse_conllu(path, out, Chain(), skip_bad=True).sentences == 0
    assert out.read_text(encoding="utf-8") == content


@pytest.mark.parametrize(("suffix", "pack"), [(".xz", lzma.compress), (".gz", gzip.compress)])
def test_a_damaged_archive_is_named(tmp_path, suffix, pack):
    path = written(tmp_path, pack(GOOD.encode() * 50)[:-30], f"bank.conllu{suffix}")
    with pytest.raises(MalformedTreebank, match="archive is damaged"):
        parse_conllu(path, tmp_path / "out.conllu", Chain())
    with pytest.raises(MalformedTreebank, match="archive is damaged"):
        list(read_conllu(written(tmp_path, "no archive", f"bank.conllu{suffix}"), skip_bad=True))


def test_what_the_parser_refuses_is_named_by_its_line(tmp_path):
    path = written(tmp_path, GOOD + SHORT.replace("INTJ", "?"))
    with pytest.raises(MalformedTreebank, match=r"bank.conllu:12: ValueError: unknown tag \?"):
        parse_conllu(path, tmp_path / "out.conllu", Chain())
    assert parse_conllu(path, tmp_path / "out.conllu", Chain(), skip_bad=True).skipped[0].line == 12


def test_sentences_come_one_at_a_time(tmp_path):
    path = written(tmp_path, SHORT + row("bad", 0))
    assert next(read_conllu(path)).tokens == ("Yes",), "the first is there before the second is looked at"


def test_the_command_line_reports_or_names_the_error(tmp_path, capsys, monkeypatch):
    from dynamics.parser import Parser

    monkeypatch.setattr(Parser, "load", classmethod(lambda cls: Chain()), raising=False)
    path, out = written(tmp_path, GOOD + row(2, 0)), tmp_path / "out.conllu"
    assert main([str(path), str(out)]) == 2
    assert capsys.readouterr().err.startswith("error: MalformedTreebank: ")
    assert main([str(path), str(out), "--skip-bad"]) == 0
    printed = capsys.readouterr()
    assert "1 sentences, 4 words, 1 skipped" in printed.out
    assert "bank.conllu:12: ID is 2 after 0 words" in printed.err
    assert main([str(tmp_path / "none.conllu"), str(out)]) == 2


def test_real_treebanks_come_back_byte_for_byte(asa_data, tmp_path):
    class Gold:
        def parse(self, tokens, upos, record=False, xpos=None):
            sentence = next(gold)
            assert sentence.tokens == tuple(tokens)
            return SimpleNamespace(heads=np.array(sentence.heads), labels=sentence.labels)

    for name in ("en_ewt-ud-dev", "fr_pud-ud-test"):
        path, out = asa_data / "ud" / f"{name}.conllu.xz", tmp_path / "out.conllu"
        gold = read_conllu(path)
        parse_conllu(path, out, Gold())
        assert out.read_bytes() == lzma.decompress(path.read_bytes())
