"""What the prose pages promise is so: commands, messages, times, names and figures."""

import re
from pathlib import Path

import pytest
import yaml
from path_counts import chapter_minutes, count_path

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


def test_landing_page_lists_every_chapter_in_its_part_with_its_time():
    page = count_path(read("book/index.md"), chapter_minutes(ROOT / "notebooks"))
    path = page.partition("## The path")[2].partition("\n## ")[0]
    listed, minutes = {}, {}
    for section in path.split("\n### ")[1:]:
        caption, _, items = section.partition("\n")
        found = re.findall(
            r"^(\d+)\. \[\]\(\.\./notebooks/(\w+)\.ipynb\) \((\d+) minutes\): ", items, re.MULTILINE
        )
        numbers = [int(number) for number, _, _ in found]
        first = sum(map(len, listed.values())) + 1
        assert numbers == list(range(first, first + len(found)))
        listed[caption] = [name for _, name, _ in found]
        minutes |= {name: int(told) for _, name, told in found}
        total = sum(minutes[name] for name in listed[caption])
        assert f" chapters, {total} minutes." in items, f"{caption}: {total} minutes in all"
    assert listed == chapters()


def test_the_landing_page_counts_what_it_lists():
    page = (
        "## The path\n\nGo.\n\n### One\n\n- [](../notebooks/a.ipynb): see.\n"
        "- [](../notebooks/b.ipynb): hear.\n\n"
        "### Two\n\n- [](../notebooks/c.ipynb): feel.\n\n## End\n"
    )
    counted = count_path(page, {"a": 20, "b": 25, "c": 80})
    assert "## The path\n\nThree chapters in two parts, two hours of reading in all.\n" in counted
    assert "### One\n\nTwo chapters, 45 minutes.\n\n1. [](../notebooks/a.ipynb) (20" in counted
    assert "### Two\n\nOne chapter, 80 minutes.\n\n3. [](../notebooks/c.ipynb) (80" in counted
    with pytest.raises(KeyError):
        count_path(page, {"a": 20, "b": 25})
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
    # "One in ten", "most", "seldom fails", "misses one or two in a hundred".
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
