"""Exercises that answer back: ``check("pooling-1", answer)`` says right, or gives a hint.

An exercise is named after its chapter and its place among the chapter's exercises. This package
has a module for each chapter (``pooling.py``), and in it a dictionary ``EXERCISES``, from an
exercise's place to a :class:`Number`, :class:`Shape`, :class:`Choice` or :class:`Function`.

To add an exercise to a chapter:

1. In its module, write the question and ``answer``: code that computes the right answer by
   running what the chapter teaches, never the answer itself.
2. Foresee the three mistakes that readers are most likely to make. Each is code too, which
   makes the mistake, with one sentence that leads on from it. No sentence gives the solution
   away. For a choice they are the other options.
3. ``nudge`` is what a reader with any other wrong answer is told.
4. In the notebook, below the exercise, add a cell ``check("pooling-1", ...)``; the first one of a
   chapter begins with ``from mnist_helpers import check``. If the answer does not depend on the
   data, the cell has the tag ``nbval-check-output``. Then ``make outputs``.

Whatever needs no kernel (all kinds but functions) can be answered on the page
(``static/answers.js``): the output holds the hashes of the right answer and of the foreseen ones.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import Any

from mnist_helpers.exercises._kinds import Exercise, is_blank
from mnist_helpers.exercises._page import as_html
from mnist_helpers.widgets import front_end


@dataclass(frozen=True)
class Reply:
    """What is said to an answer; where there is none yet, a control to answer with.

    Attributes:
        text: In words.
        html: The question with its control, without script and style; nothing after an answer.
    """

    text: str
    html: str = ""

    def __repr__(self) -> str:
        """The words."""
        return self.text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook stores and shows (IPython's protocol)."""
        if not self.html:
            return {"text/plain": self.text}
        html = "\n".join([self.html, *front_end("answer").values()])
        return {"text/plain": self.text, "text/html": html}


def check(name: str, answer: object = ...) -> Reply:
    """Say whether an answer to an exercise is right; if not, give a hint, never the solution.

    Args:
        name: The chapter and the exercise's place in it, such as ``"pooling-1"``.
        answer: A number, a shape, a letter or a function, as the exercise asks. Without it, the
            reply says what is wanted, and has a control to answer with.

    Raises:
        ValueError: If there is no such exercise.
    """
    exercise = find(name)
    return Reply(exercise.reply(answer), as_html(name, exercise) if is_blank(answer) else "")


def find(name: str) -> Exercise:
    """The exercise with this name.

    Raises:
        ValueError: If there is none.
    """
    chapter, _, place = str(name).rpartition("-")
    if chapter not in chapters():
        raise ValueError(
            f"no exercise is called {name!r}: a name is a chapter and a place in it, such as "
            '"pooling-1"'
        )
    exercises = of_chapter(chapter)
    if place not in map(str, exercises):
        names = ", ".join(f"{chapter}-{number}" for number in exercises)
        raise ValueError(f"there is no exercise {name!r}: the chapter has {names}")
    return exercises[int(place)]


def chapters() -> list[str]:
    """The chapters that have exercises."""
    modules = (module.name for module in pkgutil.iter_modules(__path__))
    return [name for name in modules if not name.startswith("_")]


def of_chapter(chapter: str) -> dict[int, Exercise]:
    """The exercises of a chapter by their places."""
    exercises: dict[int, Exercise] = importlib.import_module(f"{__name__}.{chapter}").EXERCISES
    return exercises
