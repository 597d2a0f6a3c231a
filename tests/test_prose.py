"""What the prose pages promise is so: commands, messages, times, names and figures."""

import json
import re
from pathlib import Path

import pytest
import yaml
from path_counts import count_path, minutes_of

import mnist_helpers
from mnist_helpers import CHECKPOINT_ITERATIONS, evaluate, load_checkpoint

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "MAINTAINING.md",
    *sorted((ROOT / "book").glob("*.md")),
]


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def chapters():
    """The chapters by part, in the order of the table of contents."""
    parts = yaml.safe_load(read("_toc.yml"))["parts"]
    return {
        part["caption"]: [Path(chapter["file"]).name for chapter in part["chapters"]]
        for part in parts
        if any(chapter["file"].startswith("notebooks/") for chapter in part["chapters"])
    }


def code(text):
    """All code of a page: its blocks and what stands between backticks in its text."""
    blocks = re.findall(r"^ *```[^\n]*\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return [line.strip() for block in blocks for line in block.splitlines()] + spans


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_commands_on_the_pages_are_in_the_makefile(page):
    targets = set(re.findall(r"^([a-z-]+):.*##", read("Makefile"), re.MULTILINE))
    assert {"book", "test", "lab"} <= targets
    for line in code(page.read_text(encoding="utf-8")):
        if match := re.match(r"make ([a-z-]+)", line):
            assert match[1] in targets, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_and_folders_on_the_pages_exist(page):
    for span in code(page.read_text(encoding="utf-8")):
        if re.fullmatch(r"(?:book|notebooks|mnist_helpers|tests|tools)/[\w./-]*", span):
            assert (ROOT / span).exists(), span


def test_commands_without_make_are_those_of_the_makefile():
    makefile = read("Makefile").replace("$(BIN)", ".venv/bin")
    recipes = {line.strip() for line in makefile.splitlines()}
    pages = [read("book/how-to-run.md"), read("README.md")]
    for command in (
        ".venv/bin/jupyter-book build . -W -n --keep-going",
        ".venv/bin/python -m pytest",
    ):
        assert any(recipe.startswith(command) for recipe in recipes), command
        for page in pages:
            assert command in page
            assert command.replace("/bin/", "\\Scripts\\") in page
    for install in (
        "pip install --require-hashes -r requirements.txt",
        "pip install --no-deps --no-build-isolation -e .",
    ):
        assert install in makefile.replace(" --disable-pip-version-check", "")
        for page in pages:
            assert page.count(install) == 2, "once for Linux and macOS, once for Windows"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_helpers_that_the_pages_call_exist(page):
    # A call with a dot before its name is another library's.
    for name in re.findall(r"(?<!\.)\b(\w+)\(", " ".join(code(page.read_text(encoding="utf-8")))):
        assert name in {*mnist_helpers.__all__, "net", "print", "sorted", "Path"}, name


def cards():
    """The landing page's cards: title, chapters with their numbers and minutes, and the sum."""
    page = count_path(read("book/index.md"), minutes_of(ROOT / "notebooks"))
    path = page.partition("## The path")[2].partition("\n## ")[0]
    found = re.findall(
        r"^::::\{grid-item-card\} (.+?)\n(.*?)^::::$", path, re.MULTILINE | re.DOTALL
    )
    for title, body in found:
        chapters = re.findall(
            r"^(-|\d+\.) \[\]\(\.\./notebooks/(\w+)\.ipynb\) \((\d+) min\)$", body, re.MULTILINE
        )
        yield (
            title,
            chapters,
            int(re.search(r"^\{\.path-sum\}\n.+ chapters, (\d+) minutes$", body, re.M)[1]),
        )


def test_landing_page_lists_every_chapter_in_its_part_with_its_time():
    (_, shortcut, _), *parts = cards()
    minutes = minutes_of(ROOT / "notebooks")
    assert all(sign == "-" for sign, _, _ in shortcut)
    numbers = [sign for _, listed, _ in parts for sign, _, _ in listed]
    assert numbers == [f"{number}." for number in range(1, len(numbers) + 1)]
    for _, listed, total in cards():
        assert [int(told) for _, _, told in listed] == [minutes[name] for _, name, _ in listed]
        assert total == sum(int(told) for _, _, told in listed)
    assert {title: [name for _, name, _ in listed] for title, listed, _ in parts} == chapters()
    assert min(minutes.values()) >= 5


def test_the_landing_page_counts_what_it_lists():
    card = "::::{grid-item-card} %s\nSee.\n\n%s::::\n\n"
    a, b, c = (f"- [](../notebooks/{name}.ipynb)\n" for name in "abc")
    page = "## The path\n\nGo.\n\n" + card % ("Short", a) + card % ("One", a + b)
    counted = count_path(page + card % ("Two", c) + "## End\n", {"a": 20, "b": 25, "c": 80})
    assert "## The path\n\nThree chapters in two parts, two hours of reading in all.\n" in counted
    assert (
        "- [](../notebooks/a.ipynb) (20 min)\n\n{.path-sum}\nOne chapter, 20 minutes\n::::"
        in counted
    )
    assert "1. [](../notebooks/a.ipynb) (20 min)\n2. [](../notebooks/b.ipynb) (25 min)" in counted
    assert (
        "3. [](../notebooks/c.ipynb) (80 min)\n\n{.path-sum}\nOne chapter, 80 minutes\n" in counted
    )
    with pytest.raises(KeyError):
        count_path(page + "## End\n", {"a": 20})
    with pytest.raises(ValueError, match="The path"):
        count_path("# No path\n", {})


def test_every_glossary_term_is_there_once():
    page = read("book/glossary.md")
    terms = re.findall(r"^### (.+)$", page, re.MULTILINE)
    assert len(terms) > 60
    others = ", ".join(re.findall(r"^Also: (.+)\.$", page, re.MULTILINE)).split(", ")
    names = [name.lower() for name in [*terms, *others]]
    assert len(set(names)) == len(names)
    assert terms == sorted(terms, key=str.lower)


def test_a_link_to_a_term_finds_it_in_jupyterlab_too():
    """JupyterLab makes an anchor of a heading as it is written, capitals included."""
    page = read("book/glossary.md")
    for heading in re.findall(r"^### (.+)$", page, re.MULTILINE):
        anchor = heading.lower().replace(" ", "-")
        has_capitals = anchor != heading.replace(" ", "-")
        assert (f'<a id="{anchor}"></a>\n\n### {heading}\n' in page) == has_capitals, heading


@pytest.mark.needs_mnist
def test_network_learns_as_the_landing_page_says(mnist):
    # "One digit in ten", "misses one or two in a hundred", and what its slider tells.
    stored = json.loads(read("lab/src/landing/moments.json"))
    told = {moment["iterations"]: moment["right"] for moment in stored}
    ranges = {
        0: (0.05, 0.15),
        1: (0.05, 0.20),
        100: (0.5, 0.9),
        1_000: (0.9, 0.98),
        10_000: (0.98, 0.99),
    }
    assert tuple(ranges) == tuple(CHECKPOINT_ITERATIONS)
    for iterations, (low, high) in ranges.items():
        accuracy = evaluate(load_checkpoint(iterations), mnist.test).accuracy
        assert low <= accuracy <= high, (iterations, accuracy)
        assert told[iterations] == round(100 * accuracy)
