"""The Python examples of the README and the docs run as printed, from top to bottom of their page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
# Pages whose examples need nothing of the reader's own: no file, no model.
PAGES = ("README.md", "docs/bonding.md", "docs/periodic_table.md", "docs/sparse_attn.md", "docs/tagging.md")


def examples(page: Path) -> list[tuple[int, str]]:
    """The examples of a page, each with the line that it begins in."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(text[: match.start()].count("\n") + 2, match[1]) for match in found]


def run(page: Path, names: dict[str, Any]) -> None:
    """Run the examples of a page one after the other, as one program whose errors name the page's lines."""
    for line, code in examples(page):
        if "import spacy" in code:
            pytest.importorskip("spacy", reason="spaCy is an extra")
        exec(compile("\n" * (line - 1) + code, page.name, "exec"), names)


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_run_as_printed(page: str) -> None:
    torch.manual_seed(0)
    assert examples(ROOT / page)
    run(ROOT / page, {})


def test_the_examples_for_transformers_run_with_a_model_of_the_readers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {
        word: number for number, word in enumerate(["<pad>", "<s>", "</s>", "<unk>", "the", "dog", "cat", "sleeps"])
    }
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, padding_side="left", model_input_names=["input_ids", "attention_mask"], **special
    )
    sizes = {"vocab_size": 8, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    ids = {"num_attention_heads": 2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    torch.manual_seed(0)
    for name in ("Llama", "Bert"):
        config = getattr(transformers, f"{name}Config")(**sizes, **ids, max_position_embeddings=256)
        getattr(transformers, f"{name}Model" if name == "Bert" else "LlamaForCausalLM")(config).save_pretrained(
            tmp_path / name
        )
        fast.save_pretrained(tmp_path / name)
    # The compiler behind the graph is torch's business and takes half a minute.
    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", lambda *given, **options: compile_(*given, backend="eager", **options))
    run(ROOT / "docs" / "transformers.md", {"name": str(tmp_path / "Llama"), "encoder_name": str(tmp_path / "Bert")})
