"""Every notebook of the book keeps to the rules, and nbval sees a number that changed."""

from __future__ import annotations

import collections
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from address import ROOT, install_cell, notebook_paths
from notebook_format import dump_notebook, read_notebook, tags_of
from notebook_lint import CHECK, IGNORE, figure_names, lint_file
from outputs import format_problem

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
    names = collections.Counter(
        name for path in NOTEBOOKS for name in figure_names(read_notebook(path.read_text("utf-8")))
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_the_install_cell_says_what_to_do_where_the_helpers_are_missing(tmp_path: Path) -> None:
    """It runs in a Python that finds nothing but its own library."""
    script = tmp_path / "cell.py"
    script.write_text(install_cell(None), encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "-I", "-S", script], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 1
    assert "mnist_helpers is missing: run `pip install .`" in result.stderr


def change_a_number(text: str, *, tagged: bool) -> str:
    """A notebook's text with one digit changed in what a cell printed.

    The digit is the last one in the last cell that printed one and is compared: on any
    data (``tagged``), or on MNIST alone.
    """
    notebook = read_notebook(text)
    for cell in reversed(notebook.cells):
        if cell.cell_type != "code" or IGNORE in tags_of(cell):
            continue
        if (CHECK in tags_of(cell)) is not tagged:
            continue
        for output in cell.outputs:
            match = re.search(r"\d(?=\D*$)", output.get("text", ""))
            if match:
                digit = str((int(match[0]) + 1) % 10)
                output.text = output.text[: match.start()] + digit + output.text[match.end() :]
                return dump_notebook(notebook)
    raise AssertionError("no compared cell of the notebook printed a number")


def test_nbval_fails_on_one_changed_number(tmp_path: Path, mnist: Mnist) -> None:
    """Three copies of a chapter in one run: as it is, and with a number changed."""
    path = next(path for path in NOTEBOOKS if path.stem == "data")
    text = path.read_text(encoding="utf-8")
    (tmp_path / "as_it_is.ipynb").write_text(text, "utf-8")
    (tmp_path / "on_any_data.ipynb").write_text(change_a_number(text, tagged=True), "utf-8")
    (tmp_path / "on_mnist.ipynb").write_text(change_a_number(text, tagged=False), "utf-8")
    how = "--nbval" if mnist.source == "mnist" else "--nbval-lax"
    command = [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", str(tmp_path)]
    command += ["-p", "no:cacheprovider", "-p", "no:xdist", "--color=no", "-rpf", "--tb=short"]
    command += [how, "--nbval-current-env", "--nbval-sanitize-with", str(SANITIZE), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    failed = re.findall(r"^FAILED (\w+)\.ipynb::Cell \d+", result.stdout, re.MULTILINE)
    expected = ["on_any_data", "on_mnist"] if mnist.source == "mnist" else ["on_any_data"]
    assert (result.returncode, failed) == (1, expected), result.stdout + result.stderr
    assert result.stdout.count("Cell outputs differ") == len(expected)
