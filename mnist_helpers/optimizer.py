"""Adam: what turns gradients into steps, and what it remembers from one step to the next.

Taught in ``notebooks/optimisation.ipynb``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_helpers._quiet import quiet
from mnist_helpers._tracing import GraphCache
from mnist_helpers.batches import BATCH_SIZE
from mnist_helpers.data import Split

with quiet():
    import tensorflow as tf

LEARNING_RATE = 1e-4

# Adam's constants: D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization"
# (2015), algorithm 1; epsilon as in Keras.
BETA1 = 0.9
BETA2 = 0.999
EPSILON = 1e-7


class TrainingState:
    """What optimisation remembers from step to step, besides the weights.

    A copy, or what comes back from a pickle, leaves graphs and images behind.

    Attributes:
        variables: The network's variables that it remembers this for.
        steps: How many steps the optimiser has taken, an int64 variable.
        means: For each of the variables, the running mean of its gradient.
        squares: The running mean of its squared gradient.
        batch_size: Images in each step, as training was last told.
        seed: Decides the order of the images, as it was last told.
        loops: The loop over steps as a graph, for each kind of step so far.
        tensors: The split that was last learned from, its images and its labels.
    """

    def __init__(self, variables: Sequence[tf.Variable]) -> None:
        """Start with no memory of any gradient."""
        self.variables = list(variables)
        self.steps = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.means = [tf.Variable(tf.zeros_like(v), trainable=False) for v in self.variables]
        self.squares = [tf.Variable(tf.zeros_like(v), trainable=False) for v in self.variables]
        self.batch_size = BATCH_SIZE
        self.seed = 0
        self.loops = GraphCache()
        self.tensors: tuple[Split, tf.Tensor, tf.Tensor] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the images, which every copy would hold once more."""
        return {**vars(self), "tensors": None}

    def is_of(self, variables: Sequence[tf.Variable]) -> bool:
        """Whether it remembers this for these variables, and for no others."""
        return len(variables) == len(self.variables) and all(
            one is other for one, other in zip(variables, self.variables, strict=True)
        )

    def tensors_of(self, split: Split) -> tuple[tf.Tensor, tf.Tensor]:
        """Make tensors of a split's images and labels, or take those of the call before.

        The images stay whole numbers where nothing is lost by it: a quarter of the memory.
        """
        if self.tensors is None or self.tensors[0] is not split:
            images = split.images if split.pixels is None else split.pixels
            self.tensors = split, tf.constant(images), tf.constant(split.labels, tf.int64)
        return self.tensors[1:]


def one_cycle(num_iterations: int, peak: float, warm_up: float = 0.25) -> npt.NDArray[np.float32]:
    """Make a learning rate for each step: it first rises, then falls, each in a straight line.

    It falls to a hundredth of the peak. L. N. Smith and N. Topin, "Super-Convergence" (2018).

    Args:
        num_iterations: How many steps.
        peak: The highest rate.
        warm_up: Share of the steps in which it rises, 0 to 1.

    Returns:
        ``[num_iterations]``, float32, each above 0.
    """
    top = warm_up * num_iterations
    steps = np.arange(1, num_iterations + 1)
    rates = np.interp(steps, [0, top, num_iterations], [0, peak, peak * 0.01])
    return rates.astype(np.float32)


def take_step(gradients: list[tf.Tensor], state: TrainingState, rate: tf.Tensor) -> None:
    """Change each variable as Adam does, given its gradient, and remember it.

    One fused operation for each variable does ``m = β1·m + (1 - β1)·g``,
    ``v = β2·v + (1 - β2)·g²`` and ``w = w - rate·√(1 - β2ᵗ)/(1 - β1ᵗ) · m/(√v + ε)``.
    """
    step = tf.cast(state.steps.assign_add(1), tf.float32)
    beta1, beta2, epsilon = tf.constant(BETA1), tf.constant(BETA2), tf.constant(EPSILON)
    for variable, gradient, mean, square in zip(
        state.variables, gradients, state.means, state.squares, strict=True
    ):
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=mean.handle,
            v=square.handle,
            beta1_power=beta1**step,
            beta2_power=beta2**step,
            lr=rate,
            beta1=beta1,
            beta2=beta2,
            epsilon=epsilon,
            grad=gradient,
        )
