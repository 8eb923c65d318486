"""The attention kernels compile for a Hopper GPU, which the interpreter cannot tell; no GPU is needed for it."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("triton") is None:
    pytest.skip("triton is not installed: pip install triton", allow_module_level=True)

# In a process of its own: kernels are made for the compiler or for the interpreter when they are imported.
CODE = """
from importlib import import_module

from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile

NARROW = {"rows_ptr", "entries_ptr", "words_ptr", "launch_ptr", "classes_ptr"}
SINGLE = {"lse_ptr", "stats_ptr", "parts_ptr", "bias_ptr"}


def type_of(name):
    if not name.endswith("_ptr"):
        return "fp32" if name.startswith("scale") else "i32"
    return "*i32" if name in NARROW else "*fp32" if name in SINGLE else "*i64" if name == "meta_ptr" else "*bf16"


SIZES = {"HEAD_DIM": 64, "BLOCK_D": 64, "BLOCK_M": 64, "BLOCK_N": 32, "FULL_N": 32, "PRECISION": "ieee"}
FLAGS = dict.fromkeys(("HAS_BIAS", "HAS_FULL", "WIDE", "AHEAD"), True)
for module, name in (("forward", "fwd"), ("backward", "bwd_dq"), ("backward", "bwd_dkv")):
    kernel = getattr(import_module("sparse_attn.impl.triton." + module), f"class_attention_{name}_kernel")
    types = {p.name: "constexpr" if p.is_constexpr else type_of(p.name) for p in kernel.params}
    constants = {key: value for key, value in (SIZES | FLAGS).items() if key in types}
    source = ASTSource(kernel, types, constants)
    made = compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 4, "num_stages": 2})
    assert "cubin" in made.asm and made.metadata.shared <= 227 * 1024, (name, made.metadata.shared)
    print(name)
"""


def test_kernels_compile_without_a_gpu(tmp_path: Path) -> None:
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path), "TRITON_INTERPRET": "0"}
    command = [sys.executable, "-W", "ignore", "-c", CODE]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == ["fwd", "bwd_dq", "bwd_dkv"]
