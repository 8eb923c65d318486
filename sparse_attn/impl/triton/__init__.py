"""Triton kernels over tile lists. Importing this package imports triton; nothing else of ours does."""

from sparse_attn.impl.triton.backward import backward
from sparse_attn.impl.triton.forward import forward

__all__ = ["backward", "forward"]
