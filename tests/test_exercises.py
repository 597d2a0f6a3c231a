"""Exercises that answer back: what they say, in the kernel and in the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Locator, Page, expect
from site_pages import ROOT

from mnist_helpers import check
from mnist_helpers.exercises import chapters, find, of_chapter
from mnist_helpers.exercises._kinds import RIGHT, Choice, Function, Number, Shape, Written
from mnist_helpers.exercises._page import as_html, hashed
from mnist_helpers.widgets import front_end

pytest_plugins = ["browser"]

CHAPTERS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
ASKED = re.compile(r'\bcheck\("([\w-]+)", \.\.\.\)')
NAMES = [f"{chapter}-{place}" for chapter in chapters() for place in of_chapter(chapter)]


def of_mnist() -> set[str]:
    """The exercises whose answers depend on the data: nbval compares their cells on MNIST alone."""
    cells = [
        cell
        for chapter in CHAPTERS
        for cell in nbformat.read(ROOT / "notebooks" / f"{chapter}.ipynb", 4).cells
        if "nbval-check-output" not in cell.metadata.get("tags", [])
    ]
    return {name for cell in cells for name in ASKED.findall(cell.source)}


def marked(names: list[str]) -> Any:
    """Run a test on exercises; those whose answers depend on the data, on real MNIST alone."""
    of_data = of_mnist()
    needs = pytest.mark.needs_mnist
    parameters = [pytest.param(name, marks=needs if name in of_data else ()) for name in names]
    return pytest.mark.parametrize("name", parameters)


each_exercise = marked(NAMES)

# One of each kind, made up.
SUM = Number(
    question="How much is 2 + 3 · 4?",
    answer=lambda: 2 + 3 * 4,
    mistakes=[
        (lambda: (2 + 3) * 4, "Multiply first."),
        (lambda: 2 * 3 + 4, "Look at the signs again."),
        (lambda: 2 + 3 + 4, "One of the signs is a dot."),
    ],
    nudge="Count on your fingers.",
)
SHARE = Number(
    question="What share of 8 is 3?",
    decimals=2,
    within=1,
    answer=lambda: 3 / 8,
    mistakes=[
        (lambda: 8 / 3, "That is how often 3 goes into 8."),
        (lambda: -3 / 8, "A share is not negative."),
        (lambda: 100 * 3 / 8, "That is in per cent."),
    ],
    nudge="Divide.",
)
BATCH = Shape(
    question="What is the shape of `images`, with any number of them?",
    answer=lambda: [None, *np.zeros([5, 28, 28]).shape[1:]],
    mistakes=[
        (lambda: np.zeros([5, 28, 28]).shape, "Five is one number of many."),
        (lambda: np.zeros([28, 28]).shape, "That is one image."),
        (lambda: [None, 28 * 28], "They are not flat."),
    ],
    nudge="Say it axis by axis.",
)
BENDS = Choice(
    question="Which of these bends?",
    options={
        "a sum": "A sum is straight.",
        "a maximum": None,
        "a mean": "A mean is a sum, divided.",
        "a product": "With a number, a product is straight.",
    },
    answer=lambda: "a maximum" if max(1 + 0, 0 + 1) != max(1, 0) + max(0, 1) else "a sum",
    nudge="Try it.",
)
MADE_UP = {"sum-1": SUM, "share-1": SHARE, "batch-1": BATCH, "bends-1": BENDS}


def halves(values: Any) -> Any:
    return np.asarray(values) / 2


HALF = Function(
    question="Write a function that halves.",
    takes="takes numbers [n] and returns half of each",
    cases=lambda random: [(random.normal(size=n),) for n in (1, 4, 9)],
    answer=halves,
    mistakes=[
        (lambda values: values * 2, "It doubles."),
        (lambda values: -values / 2, "The signs change."),
        (lambda values: values // 2, "It rounds down."),
    ],
    nudge="Divide by two.",
)


# What the kernel says


def as_a_reader(exercise: Any, value: Any) -> Any:
    """A value in the form in which a reader gives it."""
    if isinstance(exercise, Number):
        return round(float(value), exercise.decimals or None)
    return value


def answers(exercise: Any) -> tuple[Any, list[tuple[Any, str]]]:
    """The right answer of an exercise, and the foreseen wrong ones with their hints."""
    if isinstance(exercise, Function):
        return exercise.answer, list(exercise.mistakes)
    wrong = [(as_a_reader(exercise, make()), hint) for make, hint in exercise.foreseen()]
    return as_a_reader(exercise, exercise.answer()), wrong


@each_exercise
def test_the_right_answer_a_blank_and_three_wrong_ones(name: str) -> None:
    right, wrong = answers(find(name))
    assert check(name, right).text == RIGHT
    assert len(wrong) == 3
    for answer, hint in wrong:
        assert check(name, answer).text == f"Not yet. {hint}"
    for blank in (..., None, " "):
        assert "\nReplace the three dots with " in check(name, blank).text
        assert check(name, blank).text.startswith(find(name).question)


@each_exercise
def test_no_word_gives_the_solution_away(name: str) -> None:
    """Nor does the answer that stands as an example of how to write one."""
    exercise = find(name)
    right, wrong = answers(exercise)
    hints = [hint for _, hint in wrong]
    assert len(set(hints)) == 3 and all(len(hint.split()) >= 4 for hint in hints)
    if isinstance(exercise, Number):
        told = " ".join([*hints, exercise.nudge, exercise.wanted]).replace(",", "")
        # What a reader would have to write; small whole numbers are words of any sentence.
        if exercise.decimals or right > 20:
            assert not re.search(rf"(?<![\d.]){re.escape(f'{right}')}(?![\d.])", told)
        assert right != 42 / 10**exercise.decimals
    elif isinstance(exercise, Shape):
        assert exercise.read([4, 2, 3]) not in exercise.keys(right)
    elif isinstance(exercise, Choice):
        # The code, not the list, knows which one is right.
        assert [text for text, hint in exercise.options.items() if hint is None] == [right]
        assert len(exercise.options) == 4


@each_exercise
def test_another_kind_of_answer_is_told_what_is_wanted(name: str) -> None:
    for odd in ({"a": 1}, object(), [[1], "b"], "something else"):
        said = check(name, odd).text
        assert said.startswith(f"The answer is {find(name).wanted}")
        assert type(odd).__name__ in said


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_has_at_least_three_and_each_is_below_its_exercise(chapter: str) -> None:
    cells = nbformat.read(ROOT / "notebooks" / f"{chapter}.ipynb", 4).cells
    titles: list[str] = []
    found = []
    for cell in cells:
        if cell.cell_type == "markdown":
            _, _, after = cell.source.rpartition("## Exercises\n")
            lines = after.splitlines() if "## Exercises" in cell.source or titles else []
            titles += [line for line in lines if line.startswith("### ")]
        for name in ASKED.findall(cell.source):
            assert name == f"{chapter}-{len(titles)}"
            assert cell.cell_type == "code"
            found.append(name)
    assert found == [f"{chapter}-{place}" for place in of_chapter(chapter)]
    assert len(found) >= 3


@pytest.mark.parametrize(
    ("exercise", "answer", "said"),
    [
        (SUM, 14, RIGHT),
        (SUM, np.float32(14), RIGHT),
        (SUM, np.array(14), RIGHT),
        (SUM, 20, "Not yet. Multiply first."),
        (SUM, 15, "Not yet. Count on your fingers."),
        (SUM, 14.5, "The answer is a whole number (such as 42)."),
        (SUM, "14", "The answer is a whole number (such as 42)."),
        (SUM, True, "The answer is a whole number (such as 42)."),
        (SUM, [14], "The answer is a whole number (such as 42)."),
        (SUM, float("nan"), "The answer is a whole number (such as 42)."),
        (SUM, 14j, "The answer is a whole number (such as 42)."),
        (SHARE, 0.375, RIGHT),
        (SHARE, 0.37, RIGHT),
        (SHARE, 0.39, RIGHT),
        (SHARE, 0.35, "Not yet. Divide."),
        (SHARE, -0.37, "Not yet. A share is not negative."),
        (SHARE, "3/8", "The answer is a number to 2 decimal places (such as 0.42)."),
        (BATCH, [None, 28, 28], RIGHT),
        (BATCH, ("n", 28, 28), RIGHT),
        (BATCH, "[N, 28, 28]", RIGHT),
        (BATCH, [5, 28, 28], "Not yet. Five is one number of many."),
        (BATCH, np.array([28, 28]), "Not yet. That is one image."),
        (BATCH, [None, 28], "Not yet. Say it axis by axis."),
        (BATCH, 28, "The answer is a shape (such as [4, 2, 3])."),
        (BATCH, [1.5, 2], "The answer is a shape (such as [4, 2, 3])."),
        (BENDS, "b", RIGHT),
        (BENDS, " A maximum ", RIGHT),
        (BENDS, "C", "Not yet. A mean is a sum, divided."),
        (BENDS, "e", 'The answer is a letter from "a" to "d".'),
        (BENDS, 2, 'The answer is a letter from "a" to "d".'),
        (HALF, halves, RIGHT),
        (HALF, lambda values: [value / 2 for value in values], RIGHT),
        (HALF, lambda values: values * 2, "Not yet. It doubles."),
        (
            HALF,
            lambda values: values + 1,
            "Not yet. For an input of shape [1] it returns the wrong",
        ),
        (
            HALF,
            lambda values: values[:2] / 2,
            "Not yet. For an input of shape [4] it returns shape [2]",
        ),
        (HALF, lambda values: None, "Not yet. For an input of shape [1] it returns nothing"),
        (HALF, lambda values: "half", "Not yet. For an input of shape [1] it returns a str"),
        (HALF, lambda values: values[3:][0], "Not yet. For an input of shape [1] it raises"),
        (HALF, lambda: 1, "Not yet. For an input of shape [1] it raises TypeError: "),
        (HALF, 3, "The answer is a function that takes numbers [n]"),
    ],
)
def test_what_is_said(exercise: Any, answer: Any, said: str) -> None:
    assert exercise.reply(answer).startswith(said)
    assert "Traceback" not in exercise.reply(answer)


def test_a_choice_lists_what_there_is_to_choose_from() -> None:
    assert BENDS.reply(...).splitlines() == [
        "Which of these bends?",
        "a: a sum",
        "b: a maximum",
        "c: a mean",
        "d: a product",
        'Replace the three dots with a letter from "a" to "d".',
    ]


def test_a_function_that_changes_its_input_is_tried_on_whole_cases() -> None:
    def spoil(values: Any) -> Any:
        values /= 2
        return values

    assert HALF.reply(spoil) == RIGHT
    assert HALF.reply(spoil) == RIGHT


def test_an_exercise_that_does_not_exist_names_those_that_do() -> None:
    with pytest.raises(ValueError, match="the chapter has pooling-1, pooling-2, pooling-4"):
        check("pooling-99", 1)
    with pytest.raises(ValueError, match="no exercise is called 'poolin-1'"):
        check("poolin-1", 1)
    with pytest.raises(ValueError, match="no exercise is called 7"):
        check(7)  # type: ignore[arg-type]


# What a notebook stores


def soup_of(name: str, exercise: Any) -> BeautifulSoup:
    return BeautifulSoup(as_html(name, exercise), "html.parser")


def test_an_answer_is_replied_to_in_words_a_blank_with_a_control() -> None:
    assert set(check("pooling-1", 3)._repr_mimebundle_()) == {"text/plain"}
    bundle = check("pooling-1")._repr_mimebundle_()
    assert bundle["text/plain"] == repr(check("pooling-1")) == check("pooling-1").text
    assert all(part in bundle["text/html"] for part in front_end("answer").values())
    assert check("pooling-1", ...)._repr_mimebundle_() == bundle


def test_the_question_and_the_options_are_there_without_any_script() -> None:
    soup = soup_of("bends-1", BENDS)
    assert [item.get_text() for item in soup.find_all("li")] == list(BENDS.options)
    assert soup.select_one(".question").get_text() == BENDS.question
    assert "replace the three dots with" in soup.select_one(".how").get_text()
    assert not soup.find_all(["input", "button", "form"])
    assert soup_of("batch-1", BATCH).code.get_text() == "images"


def test_signs_of_html_stay_what_they_are() -> None:
    odd = Number(
        question='Is a < b & "c" </script>?',
        answer=lambda: 1,
        mistakes=[(lambda: 2, "No </script><b>bold</b> answer here.")] * 3,
        nudge="x",
    )
    soup = soup_of("odd-1", odd)
    assert soup.select_one(".question").get_text() == odd.question
    assert len(soup.find_all("script")) == 1 and soup.b is None


def test_no_answer_can_be_read_in_passing() -> None:
    html = as_html("batch-1", BATCH)
    assert "n,28,28" not in html and hashed("batch-1:n,28,28") in html
    # The same answer to another exercise has another hash.
    assert hashed("other-1:n,28,28") not in html


def test_the_hash_is_fnv_1a() -> None:
    # From the reference's own table of test vectors (isthe.com/chongo/src/fnv/test_fnv.c).
    vectors = {"": "811c9dc5", "a": "e40c292c", "foobar": "bf9cf968"}
    assert {text: hashed(text) for text in vectors} == vectors


# What the page says


@pytest.fixture(scope="module")
def page(empty_tab: Any, serve: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page with every exercise, each in a section with its name as its id."""
    tab, problems = empty_tab()
    folder = tmp_path_factory.mktemp("exercises")
    (folder / "index.html").write_text(page_text(), encoding="utf-8")
    tab.goto(f"{serve(folder)}/index.html")
    yield tab
    assert problems == []


def page_text() -> str:
    exercises = {name: find(name) for name in NAMES} | MADE_UP | {"half-1": HALF}
    sections = (
        f'<section id="{name}">{as_html(name, each)}</section>' for name, each in exercises.items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Test</title>'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" '
        'content="light dark"><link rel="icon" href="data:,"></head><body><main><h1>Test</h1>'
        f"{''.join(sections)}{''.join(front_end('answer').values())}</main></body></html>"
    )


def answer_by_keyboard(box: Locator, exercise: Any, written: str) -> None:
    """Type an answer or choose it, and press Enter."""
    if isinstance(exercise, Choice):
        button = box.locator(f"input[value={exercise.read(written)}]")
        button.check()
        button.press("Enter")
    else:
        box.get_by_role("textbox").fill(written)
        box.get_by_role("textbox").press("Enter")


def as_typed(exercise: Any, answer: Any) -> str:
    if isinstance(exercise, Shape):
        return f"[{', '.join('n' if size is None else str(size) for size in answer)}]"
    if isinstance(exercise, Number):
        return f"{answer:,.{exercise.decimals}f}".replace("-", "−")
    return str(answer)


@marked([*(name for name in NAMES if isinstance(find(name), Written)), *MADE_UP])
def test_the_page_says_what_the_kernel_says(name: str, page: Page) -> None:
    exercise = MADE_UP.get(name) or find(name)
    right, wrong = answers(exercise)
    box = page.locator(f"[id='{name}'] .mnist-answer")
    for answer in [right, *(answer for answer, _ in wrong)]:
        answer_by_keyboard(box, exercise, as_typed(exercise, answer))
        expect(box.get_by_role("status")).to_have_text(exercise.reply(answer))
    # The question is the name of the field, or of the group of buttons.
    role: Any = "group" if isinstance(exercise, Choice) else "textbox"
    expect(box.get_by_role(role)).to_have_accessible_name(exercise.question.replace("`", ""))


@pytest.mark.parametrize(
    ("name", "typed", "said"),
    [
        ("sum-1", "", "A whole number (such as 42)."),
        ("sum-1", "  14 ", RIGHT),
        ("sum-1", "14.0", RIGHT),
        ("sum-1", "+14", RIGHT),
        ("sum-1", "1 4", RIGHT),
        ("sum-1", "14.5", "A whole number (such as 42)."),
        ("sum-1", "fourteen", "A whole number (such as 42)."),
        ("sum-1", "1,4", "A whole number (such as 42)."),
        ("sum-1", "99", "Not yet. Count on your fingers."),
        ("share-1", ".375", RIGHT),
        ("share-1", "0.385", RIGHT),
        ("share-1", "37.5%", "Not yet. That is in per cent."),
        ("share-1", "-0.38", "Not yet. A share is not negative."),
        ("share-1", "−0.38", "Not yet. A share is not negative."),
        ("share-1", "3/8", "A number to 2 decimal places (such as 0.42)."),
        ("batch-1", "n, 28, 28", RIGHT),
        ("batch-1", "(None, 28, 28)", RIGHT),
        ("batch-1", "[N,028,28]", RIGHT),
        ("batch-1", "28", "Not yet. Say it axis by axis."),
        ("batch-1", "28 by 28", "A shape (such as [4, 2, 3])."),
    ],
)
def test_the_page_reads_what_people_type(name: str, typed: str, said: str, page: Page) -> None:
    box = page.locator(f"[id='{name}'] .mnist-answer")
    answer_by_keyboard(box, MADE_UP[name], typed)
    expect(box.get_by_role("status")).to_have_text(said)


@given(st.floats(-1000, 1000) | st.integers(-100, 100).map(lambda n: (n + 0.5) / 100))
def test_the_page_rounds_as_the_kernel_does(page: Page, number: float) -> None:
    """A number is one key in both, halves included."""
    typed = f"{number:.6f}"
    box = page.locator("[id='share-1'] .mnist-answer")
    answer_by_keyboard(box, SHARE, typed)
    assert box.get_by_role("status").inner_text() == SHARE.reply(float(typed))


def test_an_answer_is_found_without_a_mouse(page: Page) -> None:
    box = page.locator("[id='bends-1'] .mnist-answer")
    box.locator("input").first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    expect(box.get_by_label("a maximum")).to_be_checked()
    page.keyboard.press("Tab")
    expect(box.get_by_role("button", name="Check")).to_be_focused()
    page.keyboard.press("Enter")
    expect(box.get_by_role("status")).to_have_text(RIGHT)
    # What was said is gone as soon as another answer is there.
    box.get_by_label("a mean").check()
    expect(box.get_by_role("status")).to_have_text("")


def test_nothing_is_chosen_at_first_and_a_press_says_so(page: Page) -> None:
    page.reload()
    box = page.locator("[id='bends-1'] .mnist-answer")
    assert box.locator("input:checked").count() == 0
    box.get_by_role("button", name="Check").click()
    expect(box.get_by_role("status")).to_have_text("Choose one.")


def test_a_function_is_asked_for_and_has_no_control(page: Page) -> None:
    box = page.locator("[id='half-1'] .mnist-answer")
    expect(box).to_contain_text(HALF.question)
    expect(box).to_contain_text(
        "In a notebook, replace the three dots with a function that takes numbers"
    )
    assert box.locator("input, button").count() == 0


def test_without_scripts_the_question_can_be_read(chromium: Any, tmp_path: Path) -> None:
    """From a file, as from a memory stick."""
    path = tmp_path / "index.html"
    path.write_text(page_text(), encoding="utf-8")
    page = chromium.new_page(java_script_enabled=False)
    page.goto(path.as_uri())
    for name, exercise in MADE_UP.items():
        expect(page.locator(f"[id='{name}']")).to_contain_text(exercise.question.replace("`", ""))
    assert page.locator("input, button, form").count() == 0
    page.close()


def test_it_works_from_a_file(chromium: Any, tmp_path: Path, watch: Any) -> None:
    path = tmp_path / "index.html"
    path.write_text(page_text(), encoding="utf-8")
    page = chromium.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(path.as_uri())
    box = page.locator("[id='sum-1'] .mnist-answer")
    answer_by_keyboard(box, SUM, "14")
    expect(box.get_by_role("status")).to_have_text(RIGHT)
    page.close()
    assert problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(scheme: Any, page: Page, axe: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    assert axe(page) == []


def test_a_phone_shows_all_of_it(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for button in page.get_by_role("button").all():
        assert button.bounding_box()["height"] >= 24


def test_on_paper_there_is_no_field(page: Page) -> None:
    page.emulate_media(media="print")
    expect(page.get_by_role("button", name="Check").first).to_be_hidden()
    expect(page.locator(".question").first).to_be_visible()
    page.emulate_media(media="screen")
