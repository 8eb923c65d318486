"""The backends. They never import one another; `sparse_attn.api` imports them when they are needed."""
