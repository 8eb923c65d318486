"""A model of more than 100 million parameters from training to `transformers`, within minutes on one GPU.

    PYTHONPATH=. python3 -c "
    from pathlib import Path
    from feasibility.long_context.model import Options, jobs
    from feasibility.lm.fleet import run_all
    run_all(jobs(Options()), Path('runs'), minutes=4)"

Trained, scored on held-out novels, on minimal pairs and on told names; written as a checkpoint; loaded into
transformers and compared there; then it writes for as long as there is time. Needs
transformers and safetensors besides.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from feasibility.lm import agreement, recall
from feasibility.lm.evaluate import evaluate
from feasibility.lm.export import Card, card_text, export, read_rules
from feasibility.lm.fleet import Job, Line, Save, attempt
from feasibility.lm.generate import Stream
from feasibility.lm.model import LanguageModel
from feasibility.lm.patterns import read_specs
from feasibility.lm.recipe import Recipe, Trained
from feasibility.long_context.jobs import SCHEMA, milliseconds, stream_line
from feasibility.scaling.jobs import SIZES, scored

# Steps that find out how fast training is, so that the schedule fits the time.
TRIAL = 8
# Tokens written between two looks at the clock.
BLOCK = 500
PROMPT = 256


@dataclass(frozen=True)
class ModelJob:
    """One model, all the way.

    Args:
        recipe: of the training; its steps are replaced by as many as fit.
        seconds: of training.
        folder: for the checkpoint.
        places: of the stream; see `long_context_jobs.stream_line`.
        items: names told at each distance.
        written: tokens that it writes in one go at most.
        write_s: seconds for that.
        held_out: tokens of dev and test that are scored; all by default.
    """

    recipe: Recipe
    seconds: float
    folder: Path
    places: tuple[int, ...]
    items: int = 100
    written: int = 100_000
    write_s: float = 25.0
    held_out: int | None = None

    @property
    def key(self) -> str:
        """Names the main line."""
        recipe = self.recipe
        return f"model {recipe.spec.name} n={recipe.length} dim={recipe.dim}x{recipe.layers} seed={recipe.seed}"

    def run(self, device: str, deadline: float, save: Save) -> None:
        """See `feasibility.lm.fleet.Job`; each part is saved as soon as it is there."""
        trial = dataclasses.replace(self.recipe, steps=TRIAL).train(device)
        speed = trial.facts["tokens_per_second"] / (self.recipe.batch * self.recipe.length)
        steps = max(TRIAL, int(0.95 * self.seconds * speed))
        trained = dataclasses.replace(self.recipe, steps=steps).train(device, deadline - 30)
        line: Line = {"schema": SCHEMA, "kind": "model", "key": self.key, "finished": False, **trained.facts}
        for part in ("dev", "test"):
            text = trained.ids(part)[: self.held_out]
            scores = evaluate(trained.model, text, self.recipe.length, self.recipe.batch, make_plan=trained.make_plan)
            line[part] = scored(scores)
        save(line)
        test = trained.ids("test")
        parts: dict[str, Callable[[str], Line]] = {
            "judged": lambda key: self._judged(key, trained),
            "export": lambda key: self._exported(key, trained, line),
            "stream": lambda key: stream_line(key, trained, test, self.places, deadline),
            "written": lambda key: self._written(key, trained, test, deadline),
        }
        made = [attempt(save, key := f"{self.key} {name}", partial(make, key)) for name, make in parts.items()]
        save(line | {"finished": all(made)})

    def _judged(self, key: str, trained: Trained) -> Line:
        """Minimal pairs, and names that were told."""
        pairs = agreement.judge_pairs(trained.model, trained.corpus, agreement.minimal_pairs(), trained.make_plan)
        length = self.recipe.length
        apart = [*(least for least in recall.BINS if least + 64 < length), length - 64]
        names = recall.told_names(
            trained.longer(length + 64), trained.corpus, trained.ids("test").numpy(), apart, self.items,
            trained.make_plan,
        )  # fmt: skip
        shares = {name: {"right": sum(right), "items": len(right)} for name, right in pairs.items()}
        words = {"schema": SCHEMA, "kind": "judged", "key": key, "finished": True}
        return {**words, "minimal_pairs": shares, "told_names": names}

    def _exported(self, key: str, trained: Trained, line: Line) -> Line:
        """Write the checkpoint, load it into transformers, and compare."""
        card = self._card(trained, line)
        export(trained.model, self.folder, card, tokeniser=trained.corpus.tokeniser, pattern=trained.pattern)
        own = trained.longer(self.recipe.length)
        with torch.no_grad():
            for weights in own.parameters():
                # As the checkpoint has them.
                weights.copy_(weights.bfloat16())
        found = hub_comparison(self.folder, own, trained, trained.ids("test")[: min(PROMPT, self.recipe.length)])
        words = {"schema": SCHEMA, "kind": "export", "key": key, "finished": True}
        files = {path.name: path.stat().st_size for path in sorted(self.folder.iterdir())}
        return {**words, **found, "files": files, "card": card_text(card, trained.model, trained.pattern)}

    def _card(self, trained: Trained, line: Line) -> Card:
        return Card(
            f"ASA typed memory, {line['parameters'] / 1e6:.0f}M",
            {
                "data": f"{len(trained.corpus.facts['books']['train'])} novels; {trained.corpus.facts['source']}; "
                f"{trained.corpus.facts['licence']}",
                "training": f"{line['tokens'] / 1e6:.0f} million pieces in chunks of {self.recipe.length:,}, AdamW, "
                f"{line['train_s']:.0f} s on one GPU",
                "perplexity of a piece on novels by other authors": f"{math.exp(line['test']['per_token']):.1f}",
            },
        )

    def _written(self, key: str, trained: Trained, test: Tensor, deadline: float) -> Line:
        """Write on and on, timed in blocks; and a sample to read."""
        stream = Stream(trained.model, trained.pattern)
        device = stream.device
        prompt = test[None, :PROMPT].to(device)
        stream.read(prompt)
        sample = stream.generate(400, temperature=0.8)
        blocks, total, end = [], 400, min(deadline - 5, time.time() + self.write_s)
        while total < self.written and time.time() < end:
            write = partial(stream.generate, BLOCK, temperature=0.8, seed=total)
            blocks.append(round(milliseconds(device, write) / BLOCK, 4))
            total += BLOCK
        return {
            "schema": SCHEMA, "kind": "written", "key": key, "finished": True,
            "written": total, "ms": blocks, "block": BLOCK, "bytes": stream.nbytes,
            "prompt": decoded(trained, prompt[0]), "sample": decoded(trained, sample[0]),
        }  # fmt: skip


def hub_comparison(folder: Path, own: LanguageModel, trained: Trained, ids: Tensor) -> dict[str, Any]:
    """The checkpoint in transformers beside the model itself, with the same rounded weights, in float32.

    Returns: largest differences of logits (attached; through the cache), how large the logits are, and whether the
        likeliest 32 tokens are the same: of `model.generate` with rules attached, of `HubStream`, of `Stream`.
    """
    from transformers import AutoModelForCausalLM

    from feasibility.lm.hub import HubStream
    from sparse_attn.integrations.transformers import attach

    device = next(own.parameters()).device
    hub = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).to(device).eval()
    rules, classes = read_rules(folder)
    attach(hub, rules, classes)
    tokens = ids[None].to(device)
    with torch.no_grad():
        expected = own(tokens, trained.pattern.plan(tokens))
        attached = hub(tokens, use_cache=False).logits
    streams = HubStream(hub, rules, classes), Stream(own, trained.pattern)
    cached = streams[0].feed(tokens)
    streams[1].feed(tokens)
    hubbed, streamed = (stream.generate(32, temperature=0, graph=False) for stream in streams)
    options = {"max_new_tokens": 32, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    generated = hub.generate(tokens, attention_mask=torch.ones_like(tokens), **options)[:, tokens.shape[1] :]
    return {
        "logits_gap_attached": float((attached - expected).abs().max()),
        "logits_gap_cached": float((cached - expected).abs().max()),
        "logits_size": float(expected.abs().max()),
        "same_tokens_cache": bool(torch.equal(hubbed, streamed)),
        "same_tokens_generate": bool(torch.equal(generated, streamed)),
    }


def decoded(trained: Trained, ids: Tensor) -> str:
    """Ids [T] as text."""
    from tokenizers import Tokenizer

    text: str = Tokenizer.from_str(trained.corpus.tokeniser).decode(ids.tolist())
    return text


@dataclass(frozen=True)
class Options:
    """Which model, and how long."""

    data: Path = Path(".lab/lm.npz")
    specs: Path = Path(".lab/patterns.json")
    pattern: str = "predetermined/64"
    size: str = "119M"
    length: int = 4096
    batch: int = 8
    seconds: float = 90.0
    folder: Path = Path("/tmp/asa-language-model")
    places: tuple[int, ...] = (1000, 3000, 10_000, 30_000, 100_000)
    items: int = 100
    written: int = 100_000
    write_s: float = 25.0
    held_out: int | None = None
    compiled: bool = True


def jobs(options: Options) -> list[Job]:
    """The one job."""
    spec = read_specs(options.specs)[options.pattern]
    recipe = Recipe(
        options.data, spec, *SIZES[options.size], options.length, options.batch, TRIAL, compiled=options.compiled
    )
    return [
        ModelJob(
            recipe, options.seconds, options.folder, options.places, options.items, options.written, options.write_s,
            options.held_out,
        )
    ]  # fmt: skip
