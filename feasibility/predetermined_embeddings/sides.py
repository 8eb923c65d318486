"""The two sides of a model on which words have vectors, any part of which may be known before training.

Axes: `B` sentences, `N` positions, `V` vocabulary, `E` width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from feasibility.predetermined_embeddings.tables import LEARNED_SCALE, SCALE, Condition, Floats32


class Table(nn.Module):
    """Word vectors: rows = (fixed + scale * free P)(1 + on A), where free and A are learned.

    All conditions have the same tensors, so that models of several conditions can be trained in one batch.

    Args:
        condition: which parts are learned.
        fixed: [V, E], the table where there is one.
        shape: V, E.
        generator: of the learned part where there is no table.
    """

    fixed: Tensor
    scale: Tensor
    project: Tensor
    adapted: Tensor

    def __init__(
        self, condition: Condition, fixed: Floats32 | None, shape: tuple[int, int], generator: torch.Generator
    ) -> None:
        super().__init__()
        vocabulary, dim = shape
        project = torch.eye(dim)
        if condition.rank:
            basis = torch.linalg.qr(torch.randn(dim, dim, generator=generator))[0][:, : condition.rank]
            project = basis @ basis.T
        self.register_buffer("fixed", torch.zeros(shape) if fixed is None else torch.as_tensor(fixed))
        self.register_buffer("scale", torch.tensor(condition.scale))
        self.register_buffer("project", project)
        self.register_buffer("adapted", torch.tensor(float(condition.adapter)))
        noise = LEARNED_SCALE * torch.randn(vocabulary, dim, generator=generator)
        self.free = nn.Parameter(noise if fixed is None else torch.zeros(shape))
        self.adapter = nn.Parameter(torch.zeros(dim, dim))

    def words(self) -> Tensor:
        """[V, E], before the learned map."""
        return self.fixed + self.scale * self.free @ self.project

    def mapped(self, rows: Tensor) -> Tensor:
        """Rows after the learned map, where this side has one."""
        return rows + self.adapted * (rows @ self.adapter)

    def rows(self) -> Tensor:
        """[V, E], as the model reads them now."""
        return self.mapped(self.words())

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, N] int64 -> [B, N, E]."""
        return nn.functional.embedding(tokens, self.rows())


class Output(nn.Module):
    """Logits from a table of word vectors, after a learned map where the table is frozen; and a learned bias.

    Args:
        condition, fixed, shape, generator: as for `Table`.
        beside: the model's input table; None where no model of the batch is tied.
        tied: whether the rows are those of the input; `fixed` then only says whether there is a map.
    """

    tied: Tensor

    def __init__(
        self,
        condition: Condition,
        fixed: Floats32 | None,
        shape: tuple[int, int],
        generator: torch.Generator,
        beside: Table | None = None,
        *,
        tied: bool = False,
    ) -> None:
        super().__init__()
        self.table = Table(condition, fixed, shape, generator)
        if fixed is not None:
            # Without the map a frozen output could neither turn nor sharpen its logits. It begins as small as a learned
            # one: with rows that are also the input, large ones would say every word twice.
            self.table.adapted.fill_(1.0)
            with torch.no_grad():
                self.table.adapter.copy_((LEARNED_SCALE / SCALE - 1.0) * torch.eye(shape[1]))
        self.bias = nn.Parameter(torch.zeros(shape[0]))
        self.register_buffer("tied", torch.tensor(float(tied)))
        # In a tuple, or its parameters would count as this module's, too.
        self._beside = () if beside is None else (beside,)

    def forward(self, states: Tensor) -> Tensor:
        """[B, N, E] -> [B, N, V]."""
        rows = self.table.words()
        for table in self._beside:
            rows = rows + self.tied * (table.rows() - rows)
        return states @ self.table.mapped(rows).T + self.bias
