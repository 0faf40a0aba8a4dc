"""Muon: the optimiser that moves a matrix equally far in all directions that its momentum has.

Source: K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024), at the
size of AdamW's steps after J. Liu et al., arXiv:2502.16982, section 2.2.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer

MOMENTUM = 0.95
"""Decay of the momentum, of which Nesterov's form is taken; the authors' value."""
SIZE = 0.2
"""Root mean square of a step at a learning rate of 1: what AdamW's steps have, so that both take
the same rates (arXiv:2502.16982, equation 4)."""
LEAST = 8
"""Smallest side of a matrix that is moved so: of fewer directions there is little to make equal."""
EPSILON = 1e-8
"""Added to the root of AdamW's second moment."""
POLYNOMIALS = (
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
)
"""Coefficients of s, s^3, s^5 by which each iteration takes the singular values nearer to 1. Five
of them bring those from about .003 on to between .8 and 1.2 (found by Jiacheng You, 2025)."""


class Muon(Optimizer):
    """Muon for weights that are matrices, convolutions flattened; AdamW's step for all others.

    A convolution (O, I, K, K) is the matrix (O, I K K) that it multiplies patches with.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        *,
        lr: float,
        betas: tuple[float, float],
        weight_decay: float,
    ) -> None:
        """Take over the weights.

        Args:
            parameters: The weights.
            lr: Learning rate.
            betas: Decay of both moments where AdamW's step is taken.
            weight_decay: Decoupled, of all weights.
        """
        super().__init__(parameters, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every weight that has a gradient."""
        if closure is not None:
            raise NotImplementedError("expected no closure: gradients are there before the step")
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                step = self._matrix_step if _is_matrix(weight) else self._adam_step
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(step(weight, group["betas"]), alpha=-group["lr"])

    def _matrix_step(self, weight: Tensor, _: tuple[float, float]) -> Tensor:
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        state["momentum"].lerp_(weight.grad, 1 - MOMENTUM)
        ahead = weight.grad.lerp(state["momentum"], MOMENTUM)  # type: ignore[union-attr]
        matrix = ahead.flatten(1)
        moved = orthogonal(matrix) * (SIZE * max(matrix.shape) ** 0.5)
        return moved.reshape(weight.shape)

    def _adam_step(self, weight: Tensor, betas: tuple[float, float]) -> Tensor:
        state = self.state[weight]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"] = torch.zeros_like(weight)
            state["exp_avg_sq"] = torch.zeros_like(weight)
        state["step"] += 1
        first, second, count = *betas, float(state["step"])
        state["exp_avg"].lerp_(weight.grad, 1 - first)
        state["exp_avg_sq"].lerp_(weight.grad.square(), 1 - second)  # type: ignore[union-attr]
        spread = (state["exp_avg_sq"] / (1 - second**count)).sqrt() + EPSILON
        moved: Tensor = state["exp_avg"] / (1 - first**count) / spread
        return moved


def _is_matrix(weight: Tensor) -> bool:
    return weight.ndim > 1 and min(weight.shape[0], weight[0].numel()) >= LEAST


def orthogonal(matrix: Tensor) -> Tensor:
    """Return about the nearest matrix whose singular values are 1: Newton and Schulz's iteration.

    What it multiplies with is a polynomial of the Gram matrix alone, so it goes on there, where
    products are small, and the matrix itself is multiplied once. That needs float32: in bfloat16
    the Gram matrix gets eigenvalues below 0, which grow.

    Args:
        matrix: (M, N).

    Returns:
        (M, N) in float32. Singular values below some thousandths of its norm stay below 1; a
        matrix of zeros stays.
    """
    wide = (matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T).float()
    wide = wide / (wide.norm() + EPSILON)
    gram = wide @ wide.T
    factor = torch.eye(len(gram), device=gram.device)
    for a, b, c in POLYNOMIALS:
        polynomial = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        polynomial.diagonal().add_(a)
        factor = polynomial @ factor
        gram = polynomial @ gram @ polynomial
    found = factor @ wide
    return found if matrix.shape[0] <= matrix.shape[1] else found.T
