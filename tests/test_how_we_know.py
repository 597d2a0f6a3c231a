"""The page that says how the book is checked: what it counts, and what it was told."""

from __future__ import annotations

import re
from pathlib import Path

import mutants_kept
import pytest
from how_we_know import PAGE, count_cells, made_with, mutants_share, mutants_table
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from notebook_format import normalise, read_notebook
from site_pages import ROOT, Page, toc_files

pytest_plugins = ["built_site"]

CHAPTERS = [name for name in toc_files() if name.startswith("notebooks/")]


def test_cells_are_counted_by_how_they_are_compared() -> None:
    picture = new_output("display_data", {"image/png": "iVBO"})
    control = new_output("display_data", {"text/html": '<figure class="mnist-widget">'})
    printed = new_output("stream", name="stdout", text="5")
    cells = [
        new_markdown_cell("# A chapter"),
        new_code_cell("x = 5"),
        new_code_cell("x", outputs=[printed]),
        new_code_cell("plot()", outputs=[printed, picture]),
        new_code_cell("play()", outputs=[control]),
        new_code_cell("time()", outputs=[printed], metadata={"tags": ["nbval-ignore-output"]}),
    ]
    counted = {"cells": 5, "showing": 4, "exact": 2, "ranges": 1, "pictures": 1, "controls": 1}
    assert count_cells([new_notebook(cells=cells)]) == {"chapters": 1} | counted
    twice = {name: 2 * count for name, count in counted.items()}
    assert count_cells(2 * [new_notebook(cells=cells)]) == {"chapters": 2} | twice


def test_what_mutants_caught_is_kept_chapter_by_chapter(tmp_path: Path) -> None:
    for name in ("data", "pooling"):
        (tmp_path / "notebooks").mkdir(exist_ok=True)
        (tmp_path / "notebooks" / f"{name}.ipynb").write_text("{}")
    (tmp_path / "tests").mkdir()
    (tmp_path / "_toc.yml").write_text("root: book/index\n")
    assert mutants_kept.read(tmp_path) == []

    pooling = [(9, 10), (4, 4), (0, 0), (0, 0)]
    mutants_kept.keep({"pooling": pooling, "gone": 4 * [(1, 1)]}, tmp_path)
    mutants_kept.keep({"data": [(1, 1), (2, 2), (2, 2), (1, 1)]}, tmp_path)
    rows = mutants_kept.read(tmp_path)
    assert [row["chapter"] for row in rows] == ["data", "pooling"]
    assert mutants_share(rows) == "95.0%"  # 19 of 20
    table = mutants_table(rows, {"data": "Data", "loss": "Loss", "pooling": "Pooling"})
    assert table.splitlines()[2:] == [
        "| Data | 1 of 1 | 2 of 2 | 2 of 2 | 1 of 1 |",
        "| Loss | not tried yet | | | |",
        "| Pooling | 9 of 10 | 4 of 4 | none | none |",
    ]
    with pytest.raises(ValueError, match="run make mutants"):
        mutants_share([])


def test_counts_from_before_a_kind_was_counted_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    old = "chapter,date,numbers caught,numbers tried\ndata,2026-11-30,558,558\n"
    (tmp_path / mutants_kept.FILE).write_text(old)
    assert mutants_kept.read(tmp_path) == []


def test_the_versions_outlive_the_normalising_and_are_told_in_order() -> None:
    notebook = new_notebook(metadata={"made_with": {"NumPy": "2.4.0", "Python": "3.11.2"}})
    assert made_with(normalise(notebook)) == "Python 3.11.2, NumPy 2.4.0"
    assert made_with(normalise(new_notebook())) == ""


def test_the_page_says_what_the_notebooks_hold(site: Path) -> None:
    notebooks = [read_notebook((ROOT / f"{name}.ipynb").read_text("utf-8")) for name in CHAPTERS]
    text = " ".join(Page(site / f"{PAGE}.html", site).article.get_text(" ").split())
    counts = count_cells(notebooks)
    assert min(counts.values()) > 0
    assert f"The {len(CHAPTERS)} chapters have {counts['cells']:,} code cells." in text
    assert f"{counts['exact']:,} cells must print the same again" in text
    assert f"{counts['pictures']:,} pictures and {counts['controls']:,} controls" in text
    assert f"Last time, it noticed {mutants_share(mutants_kept.read())} of them." in text
    assert "{{" not in text


@pytest.mark.parametrize("name", CHAPTERS)
def test_each_chapter_says_at_its_foot_what_made_it(name: str, site: Path) -> None:
    page = Page(site / f"{name}.html", site)
    foot = page.soup.select_one(".made-with")
    assert foot is not None
    notebook = read_notebook((ROOT / f"{name}.ipynb").read_text(encoding="utf-8"))
    assert re.fullmatch(r"Python [\d.]+, TensorFlow [\d.]+, .+", made_with(notebook))
    assert made_with(notebook) in " ".join(foot.get_text(" ").split())
    link = foot.select_one("a")
    assert link is not None and page.file(str(link["href"])) == site / f"{PAGE}.html"
