"""What the page of a chapter says of it: counted and read from what is stored."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from chapter_pages import (
    in_words,
    is_aligned,
    picture_widths,
    what_one_sees,
)
from docutils import nodes
from docutils.utils import new_document
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from notebook_format import dump_notebook
from reading_time import LINES_A_MINUTE, PICTURES_A_MINUTE, WORDS_A_MINUTE, reading_minutes

TABLE = """\
class  logit  probability
    0   0.73        0.000
    1  -9.57        0.000
    2   1.20        0.100
"""


def test_columns_make_a_table_and_sentences_do_not() -> None:
    assert is_aligned(TABLE)
    assert not is_aligned("\n".join(TABLE.splitlines()[:3]))
    assert not is_aligned("one line\nand another\nand a third\nand a fourth")
    assert not is_aligned("    indented\n    lines\n    are no\n    columns")
    assert not is_aligned("")


def test_minutes_grow_with_all_that_one_reads_and_looks_at() -> None:
    picture = new_output("display_data", {"image/png": "iVBO", "text/plain": "a figure"})
    prose = new_markdown_cell("word " * (10 * WORDS_A_MINUTE))
    code = new_code_cell("x = 1\n" * (3 * LINES_A_MINUTE))
    solution = new_code_cell("x = 1\n" * 1_000, metadata={"tags": ["hide-cell"]})

    def pictures(count: int, source: str = "", tags: Sequence[str] = ()) -> list[NotebookNode]:
        metadata = {"tags": list(tags)}
        return [new_code_cell(source, outputs=[picture], metadata=metadata) for _ in range(count)]

    folded = pictures(PICTURES_A_MINUTE * 2, "x = 1\n" * 1_000, ["hide-input"])
    read = {
        "nothing": [],
        "prose": [prose],
        "code": [code],
        "pictures": pictures(PICTURES_A_MINUTE * 2),
        "folded pictures": folded,
        "all": [prose, code, *pictures(1), folded[0], solution],
    }
    minutes = {name: reading_minutes(new_notebook(cells=some)) for name, some in read.items()}
    expected = {"nothing": 1, "prose": 10, "code": 3, "pictures": 2, "folded pictures": 2}
    assert minutes == expected | {"all": 14}
    assert [in_words(1), in_words(2)] == ["1 minute", "2 minutes"]


@pytest.mark.parametrize("box", [nodes.admonition, nodes.block_quote])
def test_the_promise_is_read_whatever_box_it_stands_in(box: type[nodes.Element]) -> None:
    document = new_document("chapter")
    see = nodes.paragraph("", "", nodes.strong("", "What you will see:"))
    see += [nodes.Text(" one "), nodes.literal("", "filter"), nodes.Text(", and more.")]
    need = nodes.paragraph("", "", nodes.strong("", "What you need:"), nodes.Text(" paper."))
    document += box("", see, need)
    assert what_one_sees(document) == "One filter, and more."
    assert what_one_sees(new_document("other")) == ""


def test_a_picture_is_as_wide_as_its_output_says(tmp_path: Path) -> None:
    pictures = [base64.b64encode(text).decode() for text in (b"first", b"second")]
    sized, plain = (
        new_output("execute_result", {"image/png": picture}, metadata=metadata)
        for picture, metadata in zip(
            pictures, ({"image/png": {"width": 500, "height": 200}}, {}), strict=True
        )
    )
    path = tmp_path / "chapter.ipynb"
    notebook = new_notebook(cells=[new_code_cell("figure", outputs=[sized, plain])])
    path.write_text(dump_notebook(notebook), encoding="utf-8")
    assert picture_widths(path) == {hashlib.sha256(b"first").hexdigest(): 500}
    assert picture_widths(path.with_suffix(".md")) == {}
