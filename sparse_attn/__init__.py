"""Attention whose sparsity comes from the classes of its tokens: exact, differentiable, O(n k), on GPU and laptop.

    rules = ClassRules(allow, window=64, valence=4)
    plan = plan_classes(class_ids, rules)
    out = class_attention(query, key, value, plan)

The package knows integers, never words.
"""

from sparse_attn.api import class_attention
from sparse_attn.cache import ClassCache
from sparse_attn.indexed import sparse_attention
from sparse_attn.plan import ClassPlan, plan_classes
from sparse_attn.rules import ClassRules

__all__ = ["ClassCache", "ClassPlan", "ClassRules", "class_attention", "plan_classes", "sparse_attention"]
