"""Every notebook of the book keeps to the rules, and nbval sees a number that changed."""

from __future__ import annotations

import collections
import os
import re
import shlex
import shutil
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import pytest
from address import ROOT, notebook_paths
from nbformat.v4 import new_code_cell, new_notebook, new_output
from notebook_format import IGNORE, dump_notebook, read_notebook, tags_of
from notebook_lint import CHECK, lint_file, plain_markdown
from outputs import clean_settings, format_problem, run
from start_page import PAGE, start_page

from mnist_helpers import Mnist

NOTEBOOKS = notebook_paths()
SANITIZE = ROOT / "tests" / "nbval_sanitize.cfg"
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@each_notebook
def test_keeps_to_the_rules(path: Path) -> None:
    problems = lint_file(path)
    assert not problems, "\n" + "\n".join(problems)


@each_notebook
def test_is_stored_as_the_tool_stores_it(path: Path) -> None:
    problem = format_problem(path.read_bytes().decode("utf-8"))
    assert problem is None, (
        f"{path.name} {problem}; mend it with: python tools/outputs.py --format {path.stem}"
    )


def test_no_two_figures_have_the_same_name() -> None:
    cells = [cell for path in NOTEBOOKS for cell in read_notebook(path.read_text("utf-8")).cells]
    figures = [cell.metadata.get("mystnb", {}).get("figure", {}) for cell in cells]
    names = collections.Counter(figure["name"] for figure in figures if "name" in figure)
    assert [name for name, count in names.items() if count > 1] == []


def test_the_page_that_leads_to_the_chapters_is_as_its_tool_writes_it() -> None:
    text = start_page()
    assert (ROOT / PAGE).read_text("utf-8") == text, "run: python tools/start_page.py"
    (cell,) = read_notebook(text).cells
    links = re.findall(r"^(\d+)\. \[.+\]\((notebooks/.+)\) \(\d+ minutes\)$", cell.source, re.M)
    listed = [path.relative_to(ROOT).as_posix() for path in NOTEBOOKS]
    assert links == [(str(number), name) for number, name in enumerate(listed, start=1)]
    assert list(plain_markdown(read_notebook(text))) == []


def test_the_same_cells_twice_give_the_same_text() -> None:
    """With their training figures: the one layer is trained three times."""
    path = ROOT / "notebooks" / "softmax_regression.ipynb"
    notebook = read_notebook(path.read_text("utf-8"))
    # The rest of the chapter would train it a dozen times more.
    of_training = next(i for i, cell in enumerate(notebook.cells) if IGNORE in tags_of(cell))
    cells = [cell for cell in notebook.cells[: of_training + 1] if cell.cell_type == "code"]
    notebook.cells = [deepcopy(cell) for _ in range(2) for cell in cells]
    with clean_settings():
        done = run(notebook, path.parent).cells
    first, second = (
        [o.get("text") or o.data.get("text/plain") for cell in half for o in cell.outputs]
        for half in (done[: len(cells)], done[len(cells) :])
    )
    assert first == second
    assert any("seed 0: accuracy" in (text or "") for text in first)


# These train for minutes, and would for twice as many.
LONG = {"keras", "optimisation", "speed", "tensorboard"}


@pytest.mark.stress
@pytest.mark.parametrize(
    "path", [path for path in NOTEBOOKS if path.stem not in LONG], ids=lambda path: path.stem
)
def test_each_cell_can_be_run_twice(path: Path) -> None:
    """As a reader does who presses the keys once more. Counters may go on; no cell may fail."""
    notebook = read_notebook(path.read_text("utf-8"))
    code_cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    notebook.cells = [deepcopy(cell) for cell in code_cells for _ in range(2)]
    with clean_settings():
        run(notebook, path.parent)


def change_a_number(text: str, *, tagged: bool) -> tuple[str, int]:
    """A notebook's text with one digit changed in what a cell printed, and which cell it was.

    The digit is the last one in the last cell that printed one and is compared: on any
    data (``tagged``), or on MNIST alone. Cells are counted as nbval does, code cells from 0.
    """
    notebook = read_notebook(text)
    code_cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in reversed(list(enumerate(code_cells))):
        if IGNORE in tags_of(cell) or (CHECK in tags_of(cell)) is not tagged:
            continue
        for output in cell.outputs:
            match = re.search(r"\d(?=\D*$)", output.get("text", ""))
            if match:
                digit = str((int(match[0]) + 1) % 10)
                output.text = output.text[: match.start()] + digit + output.text[match.end() :]
                return dump_notebook(notebook), number
    raise AssertionError("no compared cell of the notebook printed a number")


def run_pytest(folder: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on a folder, in a process of its own and without this project's options."""
    command = [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", str(folder)]
    command += ["-p", "no:cacheprovider", "--color=no", "--tb=short", "--nbval-current-env"]
    command += ["--nbval-sanitize-with", str(SANITIZE), *options, str(folder)]
    command += ["-o", f"pythonpath={shlex.quote(str(ROOT / 'tools'))}"]
    # On a CI server pytest repeats each failure's text in its summary.
    environment = {name: os.environ[name] for name in os.environ.keys() - {"CI", "BUILD_NUMBER"}}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture
def small_run(tmp_path: Path) -> Path:
    """A folder with this project's conftest and a notebook that was not run on this data."""
    cells = [
        new_code_cell("import os"),
        new_code_cell("print(2 + 2)", metadata={"tags": [CHECK]}),
        new_code_cell("print(os.environ.get('MNIST_SOURCE'))"),
    ]
    for cell, text in zip(cells, ["", "4\n", "of another day\n"], strict=True):
        cell.execution_count = 1
        cell.outputs = [new_output("stream", name="stdout", text=text)] if text else []
    shutil.copy(ROOT / "conftest.py", tmp_path)
    for name in ("one", "two"):
        file = tmp_path / f"{name}.ipynb"
        file.write_text(dump_notebook(new_notebook(cells=cells)), "utf-8")
    return tmp_path


# A worker beside the process that settles the source.
WORKER = ("--nbval", "-n", "1", "--dist", "loadfile")


def test_nbval_fails_where_a_number_was_changed_and_nowhere_else(
    small_run: Path, mnist: Mnist
) -> None:
    """On MNIST everything is compared; on the stand-in, what does not depend on the data."""
    text = next(path for path in NOTEBOOKS if path.stem == "data").read_text(encoding="utf-8")
    text, on_any_data = change_a_number(text, tagged=True)
    text, on_mnist = change_a_number(text, tagged=False)
    (small_run / "changed.ipynb").write_text(text, "utf-8")
    expected = {("changed", on_any_data)}
    if mnist.source == "mnist":
        expected |= {("changed", on_mnist), ("one", 2), ("two", 2)}
    result = run_pytest(small_run, *WORKER)
    failed = re.findall(r"^FAILED (\w+)\.ipynb::Cell (\d+)", result.stdout, re.MULTILINE)
    assert result.returncode == 1
    assert {(name, int(cell)) for name, cell in failed} == expected, result.stdout + result.stderr
    assert result.stdout.count("Cell outputs differ") == len(expected)
    if mnist.source == "mnist":
        assert "\nNotebooks were compared on real MNIST.\n" in result.stdout


def test_on_the_stand_in_what_depends_on_the_data_is_not_compared(small_run: Path) -> None:
    result = run_pytest(small_run, *WORKER, MNIST_SOURCE="digits")
    assert result.returncode == 0, result.stdout + result.stderr
    last = result.stdout.splitlines()[-2:]
    assert last[0].startswith("Notebooks ran on the stand-in: only outputs that do not depend")
    assert "6 passed" in last[1]
    assert result.stderr.count("scikit-learn") <= 1, "the source is settled once"


def test_a_bad_folder_stops_the_run_and_says_what_to_do(small_run: Path) -> None:
    nowhere = str(small_run / "nowhere")
    result = run_pytest(small_run, MNIST_DATA_DIR=nowhere, MNIST_SOURCE="")
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert nowhere in result.stderr and "passed" not in result.stdout
