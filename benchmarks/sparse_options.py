"""The command line of `python -m benchmarks.sparse_attention`."""

from __future__ import annotations

import argparse
from argparse import BooleanOptionalAction
from collections.abc import Sequence
from pathlib import Path

from benchmarks.sparse_decode import TEXTS
from benchmarks.sparse_gate import CPU_GATE_LENGTHS, GATE_LENGTHS
from benchmarks.sparse_patterns import Text, patterns, read_text

# A batch on a GPU, whatever the length of its texts.
GPU_TOKENS = 32768
LENGTHS = {"cuda": [1024, 2048, 4096, 8192, 16384, 32768, 512], "cpu": [4096, 16384]}
DIMS = {"cuda": [64, 128], "cpu": [64]}


def parsed(description: str | None, argv: Sequence[str] | None, device: str) -> tuple[argparse.Namespace, Text]:
    """The options, with the device's defaults filled in, and the text; ends with code 2 on misuse."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    _add_options(parser)
    options = parser.parse_args(argv)
    options.lengths = options.lengths or LENGTHS[device]
    options.dims = options.dims or DIMS[device]
    options.gate_lengths = options.gate_lengths or list(GATE_LENGTHS if device == "cuda" else CPU_GATE_LENGTHS)
    wrong = [n for n in (*options.lengths, *options.dims, *options.gate_lengths, *options.decode_texts) if n < 1]
    if wrong:
        parser.error(f"lengths and dims are at least 1, got {wrong}")
    uneven = [n for n in options.lengths if device == "cuda" and GPU_TOKENS % n]
    if uneven:
        parser.error(f"a batch holds {GPU_TOKENS} tokens: lengths must divide that, got {uneven}")
    tokens = GPU_TOKENS if device == "cuda" else max(options.lengths)
    try:
        text = read_text(options.tags, options.classes, tokens)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    names = [p.name for p in patterns(text)]
    unknown = set(options.patterns or ()) - set(names)
    if unknown:
        parser.error(f"no such pattern: {sorted(unknown)}; there are {names}")
    options.patterns = options.patterns or names
    return options, text


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder for the JSON")
    parser.add_argument("--tags", type=Path, help="text file of UPOS numbers (0-16, alphabetical), one a token")
    parser.add_argument(
        "--classes",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="text files of class ids, one a token, for the 64-class pattern (all ids < 64) and the 256-class pattern",
    )
    parser.add_argument("--patterns", nargs="+", help="only these patterns")
    parser.add_argument("--lengths", nargs="+", type=int, help="only these lengths, in this order")
    parser.add_argument("--dims", nargs="+", type=int, help="only these head dims, in this order")
    parser.add_argument("--gate-lengths", nargs="+", type=int, help="check correctness at these lengths")
    parser.add_argument(
        "--decode-texts", nargs=2, type=int, default=list(TEXTS), metavar="N", help="tokens before those that are timed"
    )
    parser.add_argument("--seconds", type=float, default=450, help="begin no new measurement after so long")
    parser.add_argument("--peers", action=BooleanOptionalAction, default=True, help="peers of the same function")
    parser.add_argument("--decode", action=BooleanOptionalAction, default=True, help="time generated tokens")
    parser.add_argument(
        "--graphs", action=BooleanOptionalAction, default=True, help="replay CUDA graphs of short texts besides"
    )
