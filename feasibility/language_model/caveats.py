"""What a reader must know of the recorded trainings in order not to be misled."""

from __future__ import annotations

from feasibility.language_model.compared import by_position, lead, per_token, readable
from feasibility.language_model.record import HEADLINE, Record, Runs
from feasibility.language_model.table import size_in_words

LONG = HEADLINE._replace(length=8192)
# The lead in training is told from here on: before, it is one rate against another that shows.
SETTLED = 200


def caveats(record: Record) -> tuple[str, ...]:
    """Sentences, from what the record says of itself."""
    runs = record[HEADLINE]
    line = next(iter(runs["dense"].values()))
    counts = {name: len(seeds) for name, seeds in runs.items()}
    more = ", ".join(name for name, count in counts.items() if count == max(counts.values()))
    others = "; ".join(f"{size_in_words(size, own)}: {_rates(own)}" for size, own in record.items() if size != HEADLINE)
    left_out = [(size_in_words(size, own), readable(own, "test")) for size, own in record.items()]
    return (
        f"The numbers of held-out text are of recorded trainings, on {line['device']}: {line['steps']:,} steps of "
        f"{line['batch'] * line['model']['max_length']:,} pieces at every size. {size_in_words(HEADLINE, runs)}: each "
        "pattern at the better of two learning rates (0.002, 0.004), chosen on the dev novels with the first seed, "
        f"whose training also counts; {max(counts.values())} seeds of {more}; {min(counts.values())} of the others. By "
        f"the same rule, three seeds each: {others}. This run did not repeat them; it computed the intervals from the "
        "recorded scores of each chunk.",
        "Trainings of one kind differ by 0.01 to 0.05 nats between seeds. With three seeds the bootstrap's interval is "
        "about the range of the three and covers less than 95 %; Student's t over seeds (metrics that end with "
        "by_seed) is wider, and at 60 million parameters it leaves even the window's lead over dense attention open.",
        _undertrained(record),
        "Of the test chunks "
        + ", ".join(f"{(~kept).sum()} of {len(kept)} ({size})" for size, kept in left_out)
        + " are left out: old inscriptions in Haggard's She, by a bound that was fixed with earlier runs; in chunks of "
        "8,192 the English around them keeps the mean below it.",
        "Learning rates fall along a cosine to zero, so steps saved to a target are not steps saved to the final loss; "
        "the targets were fixed before these curves were seen.",
        "The linear state has 5 % more parameters than the others. original without a window sees 548 keys and with "
        "one 577, more than the 230 of all others: its table says who is seen, and nothing bounds it. Tags of the full "
        "context see the future, so that pattern is no model of language; it shows the size of the leak.",
    )


def _undertrained(record: Record) -> str:
    """What the comparison at the longer texts can and cannot tell."""
    runs, long = record[HEADLINE], record[LONG]
    above = per_token(long, "dense", "dev") - per_token(runs, "dense", "dev")
    curve, places = lead(long, "window", "dense"), by_position(long, "window", "dense")
    early, late = (curve[step] for step in (SETTLED, max(curve)))
    stretch = LONG.length // len(places)
    return (
        "At every size as many pieces are read, in under three passes: little for 60 million parameters, and at n = "
        f"{LONG.length:,} only {long['dense'][0]['batch']} chunks a step. Dense attention is far from learnt then: on "
        f"dev it needs {above:.2f} nats a piece more with texts of {LONG.length:,} than with {HEADLINE.length:,}, "
        f"though it sees more; the window's lead in training shrinks from {-early:.2f} at step {SETTLED} to "
        f"{-late:.2f} at the end; and on dev it is {-places[0]:.2f} in the first {stretch} positions of a chunk, where "
        f"all see much the same, and {-places[-1]:.2f} in the last. So this compares how fast the patterns are learnt, "
        "not what they are worth once learnt, nor what a long text is worth."
    )


def _rates(runs: Runs) -> str:
    own = {name: next(iter(seeds.values()))["rate"] for name, seeds in runs.items()}
    return ", ".join(f"{name} {rate:g}" for name, rate in own.items())
