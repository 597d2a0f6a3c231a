"""Muon: steps that go equally far in every direction of a layer's weights.

Taught in ``notebooks/speed.ipynb``. K. Jordan and others, "Muon: An optimizer for hidden layers
in neural networks" (2024), <https://kellerjordan.github.io/posts/muon/>.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mnist_helpers._quiet import quiet
from mnist_helpers.precision import Precision

with quiet():
    import tensorflow as tf

MOMENTUM = 0.95
"""How much of the running sum of gradients stays in each step; as Jordan has it."""

ROUNDS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Jordan's polynomial, whose slope at 0 is steep: after five rounds hardly a direction is weak."""

LIKE_ADAM = 0.2
"""Typical size of the numbers in a step of Adam's at a learning rate of 1: J. Liu and others,
"Muon is Scalable for LLM Training" (2025), section 2.2. With it, both can have the same rate."""


def orthogonalise(matrix: Any, precision: Precision = "float32") -> tf.Tensor:
    """Make all singular values of a matrix about 1, and leave its directions as they are.

    Of M = U·S·Vᵀ it makes about U·Vᵀ, without looking for U and V: each round puts
    a·X + b·(X·Xᵀ)·X + c·(X·Xᵀ)²·X in place of X, which does a·s + b·s³ + c·s⁵ to each singular
    value s.

    Args:
        matrix: ``[rows, columns]``.
        precision: What to multiply with.

    Returns:
        ``[rows, columns]``, float32, with singular values between 0.68 and 1.21; those below
        0.002 of the matrix's norm, the root of the sum of its squares, stay smaller.
    """
    wide = tf.cast(matrix, tf.float32)
    wide = tf.cast(wide / (tf.norm(wide) + 1e-7), precision)
    is_tall = wide.shape[0] > wide.shape[1]
    if is_tall:
        wide = tf.transpose(wide)
    a, b, c = COEFFICIENTS
    for _ in range(ROUNDS):
        square = tf.matmul(wide, wide, transpose_b=True)
        wide = a * wide + tf.matmul(b * square + c * tf.matmul(square, square), wide)
    return tf.cast(tf.transpose(wide) if is_tall else wide, tf.float32)


def hidden_weights(variables: Sequence[tf.Variable]) -> list[bool]:
    """Tell which variables Muon is for: the weights of all layers but the first and the last.

    Args:
        variables: A network's, in order.

    Returns:
        For each whether Muon is to change it. Biases, and the weights of the first layer and
        of the last, are Adam's: their directions do not count alike.
    """
    weights = [number for number, variable in enumerate(variables) if len(variable.shape) > 1]
    return [number in weights[1:-1] for number in range(len(variables))]


def muon_step(
    variable: tf.Variable,
    gradient: tf.Tensor,
    momentum: tf.Variable,
    rate: Any,
    precision: Precision = "float32",
) -> None:
    """Change a layer's weights by one step of Muon.

    Args:
        variable: The weights, ``[inputs, units]`` or ``[height, width, channels, filters]``; a
            filter counts as one column.
        gradient: Their gradient, of the same shape.
        momentum: The running sum of their gradients, of the same shape; is changed, too.
        rate: The learning rate.
        precision: What to multiply with.
    """
    momentum.assign(MOMENTUM * momentum + gradient)
    # Nesterov's: as if the next step's momentum were known.
    ahead = tf.reshape(MOMENTUM * momentum + gradient, [-1, gradient.shape[-1]])
    # Where all singular values are 1, the mean square of the numbers is 1 / the longer side.
    scale = LIKE_ADAM * max(ahead.shape) ** 0.5
    step = rate * scale * orthogonalise(ahead, precision)
    variable.assign_sub(tf.reshape(step, variable.shape))
