"""Checks on arguments, and on the process, before work begins."""

from __future__ import annotations

import operator
import os
import reprlib
import sys
from typing import Any

_lost_threads = False
"""Whether TensorFlow's threads stayed behind in the process that forked this one."""


def check_count(name: str, value: Any, least: int = 1) -> int:
    """Return a whole number of at least ``least``; refuse anything else, naming the argument."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number; got {reprlib.repr(value)}") from None
    if number < least:
        raise ValueError(f"{name} must be at least {least}; got {number}")
    return number


def check_process() -> None:
    """Refuse to compute where TensorFlow would wait for ever.

    Raises:
        RuntimeError: In a process made by fork after TensorFlow had begun to compute.
    """
    if _lost_threads:
        raise RuntimeError(
            "TensorFlow cannot compute in this process: it was made by fork, and TensorFlow's "
            'threads stayed behind. Start processes with multiprocessing.get_context("spawn") '
            "instead."
        )


def _after_fork() -> None:
    global _lost_threads  # noqa: PLW0603
    # Asking through a public function would start the threads.
    eager = sys.modules.get("tensorflow.python.eager.context")
    _lost_threads = eager is not None and eager.context()._context_handle is not None


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)
