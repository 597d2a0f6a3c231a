"""Exercises of the chapter on benchmarks."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_helpers.exercises._kinds import Number
from mnist_helpers.studies import load_study

ROUNDS = np.array([5.2, 5.1, 9.8, 5.3, 5.2])
"""Five timings of one contender, in milliseconds."""


@cache
def _steps() -> dict[str, npt.NDArray[Any]]:
    """Median, lowest and highest time of a step of each contender; the older way comes first."""
    study = load_study("benchmarks")
    chosen = (study["measure"] == "step") & (study["batch_size"] == 64)
    chosen &= study["num_filters"] == 16
    order = np.argsort(study["contender"][chosen] != "older", kind="stable")
    return {name: study[name][chosen][order] for name in ("median", "lowest", "highest")}


def _sooner(mine: str, theirs: str) -> int:
    """How many contenders have a time below one of the older way's."""
    return int((_steps()[mine][1:] < _steps()[theirs][0]).sum())


def _overtaken(first: float, second: float, step: float, other: float) -> float:
    """After how many steps a slow start is made up for; times in milliseconds."""
    return (second - first) / (step - other)


EXERCISES = {
    1: Number(
        question="To begin with: one contender starts in 2 s and takes 30 ms a step; another "
        "starts in 3 s and takes 20 ms. After how many steps are they level?",
        answer=lambda: _overtaken(2000, 3000, 30, 20),
        mistakes=[
            (lambda: _overtaken(2000, 3000, 30, 0), "The other one takes steps in the meantime."),
            (lambda: _overtaken(2, 3, 30, 20) * 100, "Write all times in the same unit."),
            (lambda: _overtaken(0, 3000, 30, 20), "The first one also needs time to start."),
        ],
        nudge="How much does the quicker one gain with each step?",
    ),
    2: Number(
        question="For how many contenders does the whole range lie below that of the older way?",
        answer=lambda: _sooner("highest", "lowest"),
        mistakes=[
            (lambda: _sooner("highest", "highest"), "Compare with the older way's lowest time."),
            (lambda: _sooner("lowest", "highest"), "Their ranges may still overlap."),
            (lambda: len(_steps()["median"]), "Those are all the contenders."),
        ],
        nudge="Compare a contender's highest time with the older way's lowest.",
    ),
    3: Number(
        question="What is the median of 5.2, 5.1, 9.8, 5.3 and 5.2 ms?",
        decimals=1,
        answer=lambda: np.median(ROUNDS),
        mistakes=[
            (ROUNDS.mean, "That is the mean, which one bad round has raised."),
            (ROUNDS.min, "That is the best round."),
            (lambda: ROUNDS[2], "Put them in order before you take the one in the middle."),
        ],
        nudge="Sort the five times.",
    ),
}
