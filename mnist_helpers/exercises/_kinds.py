"""The kinds of exercises that answer back, and what they say to an answer."""

from __future__ import annotations

import copy
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any

import numpy as np

RIGHT = "Right."

Mistake = tuple[Callable[..., Any], str]
"""Code that makes a foreseen mistake, and a sentence that leads on from it."""

_LONGEST_ERROR = 200


class UnreadableError(ValueError):
    """An answer is not of the kind that is wanted."""


def is_blank(answer: object) -> bool:
    """Whether nothing has been answered yet: ``...``, None, or blank text."""
    return answer is None or answer is ... or (isinstance(answer, str) and not answer.strip())


@dataclass(frozen=True, kw_only=True)
class Exercise(ABC):
    """A question that knows its answer by running code.

    Attributes:
        question: In one or two plain sentences; code in backticks.
        nudge: What is said to a wrong answer that nobody foresaw: where to look again.
    """

    question: str
    nudge: str

    @property
    @abstractmethod
    def wanted(self) -> str:
        """What kind of answer is wanted, as the end of a sentence."""

    @property
    def asked(self) -> str:
        """The question, as a notebook prints it."""
        return self.question

    @abstractmethod
    def judge(self, answer: Any) -> str:
        """What is said to an answer that is not blank.

        Raises:
            UnreadableError: If it is of another kind.
        """

    def reply(self, answer: object) -> str:
        """What is said to an answer, whatever it is."""
        if is_blank(answer):
            return f"{self.asked}\nReplace the three dots with {self.wanted}."
        try:
            return self.judge(answer)
        except UnreadableError:
            kind = type(answer).__name__
            return f"The answer is {self.wanted}. What you gave, of type {kind}, is not one."


@dataclass(frozen=True, kw_only=True)
class Written(Exercise):
    """An answer that can be written down: here, and in the page.

    Attributes:
        answer: Computes the right answer.
    """

    answer: Callable[[], Any]

    @abstractmethod
    def read(self, answer: Any) -> str:
        """The key of an answer: equal answers have the same one.

        Raises:
            UnreadableError: If it is of another kind.
        """

    def keys(self, value: Any) -> list[str]:
        """The keys of all answers that are as good as a value."""
        return [self.read(value)]

    @abstractmethod
    def foreseen(self) -> Sequence[Mistake]:
        """The mistakes that are foreseen."""

    def sheet(self) -> list[tuple[list[str], str]]:
        """Keys, and what is said to them: the right ones, then each mistake's."""
        told = [(make, f"Not yet. {hint}") for make, hint in self.foreseen()]
        return [(self.keys(make()), said) for make, said in [(self.answer, RIGHT), *told]]

    def judge(self, answer: Any) -> str:
        """What is said to an answer that is not blank."""
        key = self.read(answer)
        return next((said for keys, said in self.sheet() if key in keys), self.otherwise)

    @property
    def otherwise(self) -> str:
        """What is said to a wrong answer that was not foreseen."""
        return f"Not yet. {self.nudge}"


@dataclass(frozen=True, kw_only=True)
class Number(Written):
    """A number.

    Attributes:
        mistakes: Each computes a wrong answer.
        decimals: How many decimal places are asked for; with 0, the answer is a whole number.
        within: How many units of the last decimal it may be off by.
    """

    mistakes: Sequence[Mistake]
    decimals: int = 0
    within: int = 0

    @property
    def wanted(self) -> str:
        """What kind of answer is wanted."""
        if self.decimals == 0:
            return "a whole number (such as 42)"
        places = "1 decimal place" if self.decimals == 1 else f"{self.decimals} decimal places"
        return f"a number to {places} (such as {42 / 10**self.decimals:.{self.decimals}f})"

    def foreseen(self) -> Sequence[Mistake]:
        """The mistakes that are foreseen."""
        return self.mistakes

    def read(self, answer: Any) -> str:
        """The number in units of its last decimal place, halves rounded up, as the page does it."""
        return str(self._units(answer))

    def keys(self, value: Any) -> list[str]:
        """Those of all numbers that are near enough."""
        middle = self._units(value if self.decimals else round(float(value)))
        return [str(middle + by) for by in range(-self.within, self.within + 1)]

    def _units(self, answer: Any) -> int:
        if isinstance(answer, str | bytes | bool | np.bool_):
            raise UnreadableError
        try:
            # float would also take an array with one number in it.
            number = float(answer) if np.ndim(answer) == 0 else math.nan
        except (TypeError, ValueError) as error:
            raise UnreadableError from error
        if not math.isfinite(number) or (self.decimals == 0 and number % 1):
            raise UnreadableError
        return math.floor(number * 10.0**self.decimals + 0.5)


@dataclass(frozen=True, kw_only=True)
class Shape(Written):
    """The shape of a tensor; a size that is left open is None, or n."""

    mistakes: Sequence[Mistake]

    @property
    def wanted(self) -> str:
        """What kind of answer is wanted."""
        return "a shape (such as [4, 2, 3])"

    def foreseen(self) -> Sequence[Mistake]:
        """The mistakes that are foreseen."""
        return self.mistakes

    def read(self, answer: Any) -> str:
        """The sizes with commas between them."""
        if isinstance(answer, str):
            answer = re.sub(r"[\[\]()\s]", "", answer).split(",")
        try:
            return ",".join(map(_size, answer))
        except (TypeError, ValueError) as error:
            raise UnreadableError from error


def _size(size: Any) -> str:
    if size is None or str(size).lower() in {"n", "none"}:
        return "n"
    if int(size) != float(size):
        raise UnreadableError
    return str(int(size))


@dataclass(frozen=True, kw_only=True)
class Choice(Written):
    """One of a few answers.

    Attributes:
        options: Each answer, and what is said to whoever chooses it; None for the right one.
        answer: Computes the text of the right one.
    """

    options: dict[str, str | None]

    @property
    def wanted(self) -> str:
        """What kind of answer is wanted."""
        return f'a letter from "a" to "{ascii_lowercase[len(self.options) - 1]}"'

    def foreseen(self) -> Sequence[Mistake]:
        """The options that are wrong."""
        return [(lambda text=text: text, hint) for text, hint in self.options.items() if hint]

    def read(self, answer: Any) -> str:
        """The letter of an option, given as its letter or its text."""
        if not isinstance(answer, str):
            raise UnreadableError
        given = answer.strip().lower()
        for letter, text in zip(ascii_lowercase, self.options, strict=False):
            if given in {letter, text.lower()}:
                return letter
        raise UnreadableError

    @property
    def asked(self) -> str:
        """The question with its options."""
        lines = (f"{a}: {text}" for a, text in zip(ascii_lowercase, self.options, strict=False))
        return "\n".join([self.question, *lines])


@dataclass(frozen=True, kw_only=True)
class Function(Exercise):
    """A small function, tried on cases that the exercise does not show.

    Attributes:
        takes: What the function takes and returns, as the end of a sentence.
        cases: Makes the arguments of each call, out of seeded random numbers.
        answer: A function that is right.
        mistakes: Functions that are wrong.
    """

    takes: str
    cases: Callable[[np.random.Generator], Iterable[tuple[Any, ...]]]
    answer: Callable[..., Any]
    mistakes: Sequence[Mistake]

    @property
    def wanted(self) -> str:
        """What kind of answer is wanted."""
        return f"a function that {self.takes}"

    def judge(self, answer: Any) -> str:
        """What is said to a function."""
        if not callable(answer):
            raise UnreadableError
        cases = list(self.cases(np.random.default_rng(seed=0)))
        given = []
        for case in cases:
            try:
                given.append(answer(*copy.deepcopy(case)))
            except Exception as error:
                what = f"{type(error).__name__}: {error}".strip().splitlines()[0]
                return f"Not yet. For {_told(case)} it raises {what[:_LONGEST_ERROR]}"
        for function, said in [(self.answer, RIGHT), *self.mistakes]:
            if all(map(_agree, [function(*case) for case in cases], given)):
                return said if said == RIGHT else f"Not yet. {said}"
        return f"Not yet. {self._difference(cases, given)} {self.nudge}"

    def _difference(self, cases: list[tuple[Any, ...]], given: list[Any]) -> str:
        """The first case for which a function returns something else, in words."""
        for case, found in zip(cases, given, strict=True):
            right = self.answer(*case)
            if found is None:
                return f"For {_told(case)} it returns nothing: does it end with return?"
            if not _is_numeric(found):
                return f"For {_told(case)} it returns a {type(found).__name__} instead of numbers."
            if np.shape(found) != np.shape(right):
                shape = list(np.shape(found))
                return f"For {_told(case)} it returns shape {shape}, but another is asked for."
            if not _agree(right, found):
                return f"For {_told(case)} it returns the wrong numbers."
        raise AssertionError("no case differs")


def _is_numeric(value: Any) -> bool:
    try:
        return bool(np.asarray(value).dtype.kind in "biuf")
    except (TypeError, ValueError):
        return False


def _agree(right: Any, found: Any) -> bool:
    """Whether two results are the same but for rounding in float32."""
    if not _is_numeric(found) or np.shape(right) != np.shape(found):
        return False
    return bool(np.allclose(np.asarray(found, float), right, rtol=1e-4, atol=1e-5))


def _told(case: tuple[Any, ...]) -> str:
    """The arguments of a call, in words: for an array, its shape."""
    told = [
        f"an input of shape {list(value.shape)}" if np.ndim(value) else f"{value:g}"
        for value in case
    ]
    return " and ".join(told)
