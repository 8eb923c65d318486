"""geoopt's manifolds with distances that do not saturate, and our loss on them: for models that contain a hierarchy.

    import geoopt, torch
    from hyperbolic.integrations.geoopt import PoincareBall, softmax_loss

    points = geoopt.ManifoldParameter(torch.tensor(embedding.points), manifold=PoincareBall())
    optimiser = geoopt.optim.RiemannianSGD([points], lr=0.1)
    softmax_loss(points.manifold, points[u], points[candidates]).backward()
    optimiser.step()

geoopt 0.5 pulls points of the ball back to |x| <= 1 - 1e-5 and cuts distances off at 16.6 in float64. Here the ball
ends where `hyperbolic.learn` ends it (radius 23.7 in float64), and distances do not end. For speed use `learn`, the
same loss some twenty times faster.

Axis legend: B samples, K + 1 candidates, the true one first, E embedding dim.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import geoopt

from hyperbolic.descent import BALL_LIMIT

if TYPE_CHECKING:
    Tensor = Any


class PoincareBall(geoopt.PoincareBall):  # type: ignore[misc]
    """geoopt's ball of curvature -1: d = 2 asinh(|x - y| / sqrt((1 - |x|^2)(1 - |y|^2))), no clamp on it."""

    def dist(self, x: Tensor, y: Tensor, *, keepdim: bool = False, dim: int = -1) -> Tensor:
        """Distances along `dim`; shapes broadcast."""
        gaps = (1.0 - x.square().sum(dim, keepdim)) * (1.0 - y.square().sum(dim, keepdim))
        return 2.0 * ((x - y).norm(dim=dim, keepdim=keepdim) / gaps.sqrt()).asinh()

    def projx(self, x: Tensor, *, dim: int = -1) -> Tensor:
        """Pull points that have left the ball back to the limit of `hyperbolic.learn`."""
        limit = BALL_LIMIT["float32" if x.element_size() == 4 else "float64"]
        norm = x.norm(dim=dim, keepdim=True).clamp_min(1e-15)
        return x * (limit / norm).clamp_max(1.0)


class Lorentz(geoopt.Lorentz):  # type: ignore[misc]
    """geoopt's hyperboloid of curvature -1: d = 2 asinh(sqrt(<x - y, x - y>) / 2), which is 0 for equal points."""

    def dist(self, x: Tensor, y: Tensor, *, keepdim: bool = False, dim: int = -1) -> Tensor:
        """Distances along `dim`; shapes broadcast. Loses digits beyond radius 12: `lorentz_distance` does not."""
        square = (x - y).square()
        product = square.sum(dim, keepdim) - 2.0 * square.narrow(dim, 0, 1).sum(dim, keepdim)
        return 2.0 * (product.clamp_min(1e-15).sqrt() / 2.0).asinh()


def softmax_loss(manifold: Any, nodes: Tensor, candidates: Tensor, bias: Tensor | None = None) -> Tensor:
    """The loss of Nickel and Kiela, as in `hyperbolic.learn`: s_0 + ln sum_k exp(-s_k), mean over samples.

    Args:
        manifold: with a `dist`, such as the two above or `geoopt.Euclidean(1)`.
        nodes: [B, E] points of the nodes u.
        candidates: [B, K + 1, E] points of the ancestor, first, and of K nodes that are not above u.
        bias: [B, K + 1] added to the distances, or None.

    Returns:
        A scalar tensor.
    """
    score = manifold.dist(nodes[:, None, :], candidates)
    if bias is not None:
        score = score + bias
    return (score[:, 0] + (-score).logsumexp(-1)).mean()
