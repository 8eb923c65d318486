"""How much of a text the table knows, what its bond rules license, how well it was annotated, and how fast."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np

from feasibility.harness import Metric
from feasibility.intervals import ratio_interval, share_interval
from feasibility.periodic_table.treebank import Treebank, read_split

# Parts of speech of which coverage is stated one by one.
OPEN = ("NOUN", "PROPN", "VERB", "ADJ", "ADV")
LARGE, SMALL = 50_000, 1_000


class SpeedNotMeasured(RuntimeError):
    """The process that measures the speed did not finish."""


def coverage(text: Treebank, seed: int) -> tuple[dict[str, Metric], dict[str, float]]:
    """Shares of a text's words that tables of 50,000 and of 1,000 words have, in whatever inflected form, in percent.

    The small table is asked for the word itself. The large one is to know every word: what no list can hold counts by
    the element of its class or of its base, names, numbers and words made from others. `listed_50k` is without these.

    Returns:
        metrics, resampled by sentence; and the shares that the same lists have as they stand, without inflected forms.
    """
    from periodic_table.vocabulary import covers, useful_words

    metrics: dict[str, Metric] = {}
    plain: dict[str, float] = {}
    tags = text.upos()
    words = list(zip(text.form, tags, strict=True))
    for name, size, classes in (
        ("coverage_50k", LARGE, True),
        ("listed_50k", LARGE, False),
        ("coverage_1000", SMALL, False),
    ):
        vocabulary = frozenset(useful_words(size))
        known = {word: covers(vocabulary, *word, classes=classes) for word in sorted(set(words))}
        hit = np.array([known[word] for word in words], dtype=float)
        metrics[name] = _by_sentence(hit, text, seed)
        plain[name] = 100 * float(np.mean([form.lower() in vocabulary for form in text.form]))
        for tag in OPEN:
            own = np.array([one == tag for one in tags])
            metrics[f"{name}_{tag.lower()}"] = share_interval(int(hit[own].sum()), int(own.sum()))
    return metrics, plain


def _by_sentence(hit: np.ndarray, text: Treebank, seed: int) -> Metric:
    return ratio_interval(np.bincount(text.sentence, hit), np.bincount(text.sentence), "%", seed)


def axes_filled(text: Treebank) -> dict[str, Metric]:
    """For each axis of an element, the share of a text's words of content that have a value of their own.

    A valence counts where the word was seen at least five times in the treebank that it was counted in.
    """
    from periodic_table import annotate
    from periodic_table.valence import load_valence

    tags = text.upos()
    rows = [place for place, tag in enumerate(tags) if tag in ("NOUN", "VERB", "ADJ", "ADV")]
    elements = annotate([text.form[place] for place in rows], [tags[place] for place in rows])
    counts = load_valence()
    verbs = [element for element in elements if element.pos == "VERB"]
    filled = {
        "supersense": [element.supersense is not None for element in elements],
        "senses": [bool(element.senses) for element in elements],
        "valence": [counts.count(element.lemma, element.pos) >= 5 for element in elements],
        "verb_class": [element.verb_class is not None for element in verbs],
    }
    return {f"axis_{name}": share_interval(sum(values), len(values)) for name, values in filled.items()}


def licensing(text: Treebank, seed: int) -> tuple[dict[str, Metric], dict[str, float]]:
    """Arcs of a treebank that the bond rules license, and random pairs as far apart that they reject, in percent.

    Returns:
        of the graded rules, resampled by sentence; and of the original's rules, which look at the two parts of speech.
    """
    from periodic_table.bonding import licensing as measured
    from periodic_table.bonding import load_rules

    sentences = text.sentences()
    found = measured(load_rules("graded"), sentences, seed)
    arcs, licensed, rejected, _ = found.by_sentence.T
    original = measured(load_rules("original", mode="pos_only"), sentences, seed)
    metrics = {
        "arcs_licensed": ratio_interval(licensed, arcs, "%", seed),
        "pairs_rejected": ratio_interval(rejected, arcs, "%", seed),
    }
    return metrics, {"arcs_licensed": 100 * original.licensed, "pairs_rejected": 100 * original.rejected}


def agreement() -> tuple[dict[str, Metric], dict[str, float]]:
    """The hundred words annotated by hand against the pipeline, axis by axis, in percent; and agreement by chance."""
    from periodic_table import PeriodicTable
    from periodic_table.agreement import compare

    wanted = {
        "upos": "hand_upos",
        "supersense": "hand_supersense",
        "abstraction within 1": "hand_abstraction",
        "valence": "hand_valence",
    }
    axes = {wanted[axis.name]: axis for axis in compare().axes if axis.name in wanted}
    metrics = {name: share_interval(axis.agreed, axis.judged) for name, axis in axes.items()}
    chance = {name: 100 * axis.chance for name, axis in axes.items() if axis.chance is not None}
    # Whoever always said the middle level would be within one of it this often.
    middle = [abs(element.abstraction - 3) <= 1 for element in PeriodicTable.load("v0.1")]
    return metrics, {**chance, "hand_abstraction": 100 * float(np.mean(middle))}


def start_speed(sentences: int) -> subprocess.Popen[str]:
    """Begin to annotate running text in a process that has seen none of its words; `speed` waits for it.

    Args:
        sentences: of EWT train, in ten parts one after the other.
    """
    command = [sys.executable, "-m", "feasibility.periodic_table.coverage", str(sentences)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def speed(started: subprocess.Popen[str], seed: int) -> tuple[dict[str, Metric], dict[str, float]]:
    """Words of running text annotated in a second of one processor core, resampled by part of the text.

    Args:
        started: by `start_speed`.
        seed: of the resampling.

    Returns:
        the metric; and the rate for new words without repetition, of all WordNet.

    Raises:
        SpeedNotMeasured: the process failed; the message is its last line.
    """
    output, errors = started.communicate()
    if started.returncode:
        raise SpeedNotMeasured(f"annotating in a process of its own failed: {errors.strip().rpartition(chr(10))[2]}")
    words, seconds, listed = json.loads(output)
    return {"words_per_s": ratio_interval(words, seconds, "words/s", seed, scale=1.0)}, {"words_per_s": listed}


def _rates(sentences: int) -> tuple[list[int], list[float], float]:
    from periodic_table import annotate
    from periodic_table.isotopes import load_isotopes

    lemmas = [lemma for lemma in map(load_isotopes().lemma, range(0, 140_000, 120)) if "_" not in lemma]
    new = list(dict.fromkeys(lemmas))
    annotate(["warm"])
    listed = len(new) / _seconds(annotate, new)
    form = read_split("train").first(sentences).form
    # In order, as a text is read: what one part has taught is known in the next.
    parts = [part.tolist() for part in np.array_split(np.array(form, dtype=object), 10)]
    return [len(part) for part in parts], [_seconds(annotate, part) for part in parts], listed


def _seconds(annotate: Callable[[Sequence[str]], object], words: Sequence[str]) -> float:
    begin = time.process_time()
    annotate(words)
    return time.process_time() - begin


if __name__ == "__main__":
    print(json.dumps(_rates(int(sys.argv[1]))))
