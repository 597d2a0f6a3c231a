"""How long one step takes on many machines: formulas, each with its source.

Taught in ``notebooks/scale.ipynb``, which measures what goes in and checks what comes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Link:
    """What connects the machines.

    Attributes:
        latency: Seconds that a message takes, however short.
        bandwidth: Bytes a second in each direction.
    """

    latency: float
    bandwidth: float


def all_reduce_bytes(num_bytes: float, num_workers: int) -> float:
    """Count the bytes that each of n workers sends to add up arrays of ``num_bytes`` in a ring.

    Each array is cut into one piece for each worker. The pieces go round the ring twice, first
    being added up and then being handed on, n - 1 times each: ``2 (n - 1) / n`` of the array.
    No other way sends less. Source: P. Patarasuk and X. Yuan, "Bandwidth optimal all-reduce
    algorithms for clusters of workstations", Journal of Parallel and Distributed Computing 69
    (2009).
    """
    if num_workers < 1:
        raise ValueError(f"num_workers must be at least 1; got {num_workers}")
    return 2 * (num_workers - 1) / num_workers * num_bytes


def all_reduce_seconds(num_bytes: float, num_workers: int, link: Link) -> float:
    """Estimate how many seconds such an all-reduce takes.

    ``2 (n - 1)`` messages, one after the other, and the time to send the bytes. Source: R.
    Thakur, R. Rabenseifner and W. Gropp, "Optimization of Collective Communication Operations
    in MPICH", International Journal of High Performance Computing Applications 19 (2005); the
    additions themselves are left out.
    """
    sent = all_reduce_bytes(num_bytes, num_workers)
    return 2 * (num_workers - 1) * link.latency + sent / link.bandwidth


def fit_link(pairs: Sequence[tuple[float, float]], num_workers: int) -> Link:
    """Find the link that best explains the times of some all-reduces.

    The straight line of :func:`all_reduce_seconds`, by least squares of the relative errors:
    otherwise the long times alone would decide.

    Args:
        pairs: Numbers of bytes and seconds, at least two different sizes.
        num_workers: How many workers took part, at least 2.

    Raises:
        ValueError: If there are too few sizes or workers, or the times do not grow.
    """
    sizes, seconds = np.array(pairs, float).reshape(-1, 2).T
    if num_workers < 2 or len(set(sizes)) < 2:
        raise ValueError(
            f"need at least 2 workers and 2 sizes; got {num_workers} and {len(set(sizes))}"
        )
    slope, at_zero = np.polyfit(sizes, seconds, 1, w=1 / seconds)
    if not slope > 0:
        raise ValueError("larger arrays took no longer: no bandwidth can be worked out from that")
    return Link(
        latency=max(0.0, float(at_zero)) / (2 * (num_workers - 1)),
        bandwidth=all_reduce_bytes(1, num_workers) / float(slope),
    )


def step_flops(multiply_adds: float, batch_size: int) -> float:
    """Estimate the arithmetic of a training step on ``batch_size`` images, in operations.

    A multiplication with its addition counts as two. Going backward takes twice as much as
    going forward: one product for the gradient with respect to the weights, another for that with
    respect to the layer's input. (Source: J. Kaplan and others, "Scaling Laws for Neural Language
    Models", 2020, section 2.1. The first layer needs no gradient with respect to its input, so
    this is slightly too much.)

    Args:
        multiply_adds: Those of one image, going forward.
        batch_size: Images in the step.
    """
    return 3 * 2 * multiply_adds * batch_size


def step_seconds(gradient_seconds: float, num_bytes: float, num_workers: int, link: Link) -> float:
    """Estimate a step's seconds: those for each worker's gradient, and then for the all-reduce.

    Real systems send the last layers' gradients while they compute the first ones', and so hide
    part of the time.
    """
    return gradient_seconds + all_reduce_seconds(num_bytes, num_workers, link)
