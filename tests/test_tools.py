"""The maintainers' tools: storing outputs, the rules for notebooks, the public address."""

from __future__ import annotations

import base64
import copy
import functools
import io
import json
import shutil
import tomllib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import notebook_lint
import numpy as np
import pytest
import yaml
from address import (
    ROOT,
    AddressError,
    blocks,
    install_cell,
    notebook_paths,
    parse_url,
    read_address,
    renew_blocks,
    set_address,
    wheel_name,
)
from address import main as address_main
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from nbformat import NotebookNode
from nbformat.v4 import (
    new_code_cell,
    new_markdown_cell,
    new_notebook,
    new_output,
)
from notebook_format import IGNORE, WIDGET_VIEW, dump_notebook, normalise, read_notebook
from notebook_lint import CHECK, lint
from outputs import (
    OutputsError,
    clean_settings,
    find_notebooks,
    format_problem,
    run,
    store_outputs,
)
from outputs import main as outputs_main
from pictures import KEY, bind, unbound
from PIL import Image

from mnist_helpers.widgets import front_end

URL = "https://github.com/some-class/digits"


@functools.cache
def png(*, blank: bool = False) -> str:
    """A small picture as a notebook stores it."""
    figure = Figure(figsize=(1, 1))
    if not blank:
        figure.add_subplot().plot([0, 1])
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return base64.b64encode(buffer.getvalue()).decode()


def code(source: str, *outputs: NotebookNode, tags: tuple[str, ...] = ()) -> NotebookNode:
    cell: NotebookNode = new_code_cell(source, outputs=list(outputs))
    if tags:
        cell.metadata["tags"] = list(tags)
    return cell


def output(kind: str, **fields: Any) -> NotebookNode:
    made: NotebookNode = new_output(kind, **fields)
    return made


def printed(text: str) -> NotebookNode:
    return output("stream", name="stdout", text=text)


def picture(data: str, kind: str = "execute_result") -> NotebookNode:
    shown = {"image/png": data, "text/plain": "<Figure size 100x100 with 1 Axes>"}
    return output(kind, data=shown)


def good_notebook() -> NotebookNode:
    """A notebook that keeps to every rule, for a test to change."""
    return copy.deepcopy(_good_notebook())


@functools.cache
def _good_notebook() -> NotebookNode:
    plot = code("figure", picture(png()))
    plot.outputs[0].metadata[KEY] = {"drawn": ["axes 1: {'xlim': [0, 1]}"]}
    plot.metadata["mystnb"] = {
        "image": {"alt": "A straight line that rises from the lower left to the upper right"},
        "figure": {"name": "fig-lines-rising", "caption": "A line."},
    }
    notebook = new_notebook(
        cells=[
            new_markdown_cell(
                "# Draw a line\n\n> **In this chapter**\n>\n"
                "> **What you will see:** a line.\n>\n> **What you need:** Python.\n>\n"
                "> **How long it takes:** 3 seconds to run."
            ),
            code(install_cell(None), tags=("install",)),
            code("figure = Figure()\nfigure.gca().plot([0, 1])"),
            new_markdown_cell(
                "It rises by $a < b$ or ``a `b` ``: see [a line](circles.ipynb#a-line) and\n"
                "[a batch](../book/glossary.md#batch).\n\n<details>\n<summary>Why</summary>\n\n"
                "So:\n\n```text\n{term}`x` <div>\n```\n\n</details>"
            ),
            plot,
            new_markdown_cell("Some arithmetic."),
            code("print(2 + 2)", printed("4\n"), tags=(CHECK,)),
            code("print(2 + 3)", printed("5\n")),
            new_markdown_cell("How long it took."),
            code("print(time)", printed("0.12\n"), tags=(IGNORE,)),
            code("print(0 < time < 1)", printed("True\n")),
            new_markdown_cell("More arithmetic."),
            code("1 + 1", output("execute_result", data={"text/plain": "2"})),
            new_markdown_cell(
                "## What you saw\n\nA line.\n\n## Exercises\n\n### Another line\n\nDraw one."
            ),
            new_markdown_cell("#### Solution: Another line", metadata={"tags": ["remove-cell"]}),
            code("print(2 + 4)", printed("6\n"), tags=("hide-cell",)),
            new_markdown_cell("Next: [Circles](circles.ipynb)."),
        ]
    )
    prompts = dict.fromkeys(["code_prompt_show", "code_prompt_hide"], "Solution: Another line")
    notebook.cells[-2].metadata["mystnb"] = prompts
    for number, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), start=1):
        cell.execution_count = number
    notebook = normalise(notebook)
    bind(notebook)
    return notebook


# The places of the cells of good_notebook.
OPENING, INSTALL, IMPORTS, PROSE, PLOT, SUM, EXACT, IGNORED, CHECKING, LAST, CLOSING = (
    0, 1, 2, 3, 4, 6, 7, 9, 10, 12, 13,
)  # fmt: skip


HEADING, SOLUTION, NEXT = 14, 15, 16


def test_the_good_notebook_keeps_to_every_rule() -> None:
    assert lint(good_notebook(), install_cell(None)) == []


def set_source(place: int, source: str) -> Callable[[NotebookNode], None]:
    return lambda notebook: notebook.cells[place].update(source=source)


def set_outputs(place: int, *outputs: NotebookNode) -> Callable[[NotebookNode], None]:
    return lambda notebook: notebook.cells[place].update(outputs=list(outputs))


def set_tags(place: int, *tags: str) -> Callable[[NotebookNode], None]:
    return lambda notebook: notebook.cells[place].metadata.update(tags=list(tags))


def set_count(place: int, count: int | None) -> Callable[[NotebookNode], None]:
    return lambda notebook: notebook.cells[place].update(execution_count=count)


def set_figure(key: str, field: str, value: str) -> Callable[[NotebookNode], None]:
    return lambda notebook: notebook.cells[PLOT].metadata["mystnb"][key].update({field: value})


def change_picture(notebook: NotebookNode) -> None:
    notebook.cells[PLOT].outputs[0].data["image/png"] = png(blank=True)


def allow(**tolerance: Any) -> Callable[[NotebookNode], None]:
    return lambda notebook: notebook.cells[PLOT].metadata.update(drawn=tolerance)


def replace(place: int, old: str, new: str) -> Callable[[NotebookNode], None]:
    def change(notebook: NotebookNode) -> None:
        assert old in notebook.cells[place].source
        notebook.cells[place].source = notebook.cells[place].source.replace(old, new)

    return change


def delete(place: int) -> Callable[[NotebookNode], None]:
    def change(notebook: NotebookNode) -> None:
        del notebook.cells[place]

    return change


def attach(notebook: NotebookNode) -> None:
    notebook.cells[PROSE]["attachments"] = {"a.png": {"image/png": png()}}


def unnamed(notebook: NotebookNode) -> None:
    notebook.cells[SOLUTION].metadata["mystnb"]["code_prompt_show"] = "Show the solution"


def frames_html(alt: str = "A straight line that rises slowly", blank: bool = False) -> str:
    """A picture with a control, of which the second picture can be bad."""
    data = {"frames": [[0, "A straight line that falls slowly", "1"], [1, alt, "2"]]}
    data["images"] = [None, f"data:image/png;base64,{png(blank=blank)}"]
    return (
        '<figure class="mnist-widget" data-kind="frames">'
        f'<img src="data:image/png;base64,{png()}" alt="A straight line that falls slowly">'
        f'<figcaption>1</figcaption><script type="application/json">{json.dumps(data)}</script>'
        '</figure><script class="mnist-widget">of yesterday</script>'
    )


def show_frames(html: str, **figure: str) -> Callable[[NotebookNode], None]:
    """Show a picture with controls, with a name and a caption for the site."""

    def change(notebook: NotebookNode) -> None:
        data = {"text/html": html, "text/plain": "2 pictures to choose from."}
        described = {KEY: {"drawn": ["picture 1, pixels: {'shape': [100, 100, 3]}"]}}
        shown = output("execute_result", data=data, metadata=described)
        notebook.cells[PLOT].outputs = [shown]
        bind(notebook)
        named = {"name": "fig-lines-choice", "caption": "Two lines."} | figure
        notebook.cells[PLOT].metadata["mystnb"] = {"figure": named}

    return change


def stderr(text: str) -> NotebookNode:
    return output("stream", name="stderr", text=text)


ERROR = output("error", ename="ValueError", evalue="no", traceback=["ValueError: no"])
TF_LOG = "2024-01-31 12:00:00.123456: I tensorflow/core/util/port.cc:153] oneDNN is on\n"

BAD = {
    "no title": (replace(OPENING, "# Draw", "Draw"), "must begin with '# '"),
    "code first": (delete(OPENING), "cell 0: must be Markdown"),
    "no box": (replace(OPENING, "> **In this", "> **Of this"), "has no '> **In this chapter**'"),
    "no need": (replace(OPENING, "What you need", "You need"), "has no **What you need:**"),
    "no time": (replace(OPENING, "3 seconds", "a while"), "names no number"),
    "second title": (replace(CLOSING, "## What", "# What"), "second title"),
    "no closing": (replace(CLOSING, "What you saw", "The end"), "'## What you saw'"),
    "no exercises": (replace(CLOSING, "## Exercises", "Exercises"), "'## Exercises'"),
    "no next": (delete(NEXT), "'Next: '"),
    "closing out of order": (
        set_source(CLOSING, "## Exercises\n\n## What you saw"),
        "the order is",
    ),
    "a role": (set_source(PROSE, "A {term}`batch <b>`."), "'{term}`batch <b>`' is markup"),
    "a directive": (set_source(PROSE, "Why?\n\n:::{dropdown} Why\nSo.\n:::"), "{dropdown} Why'"),
    "a fenced directive": (set_source(PROSE, "```{note}\nSo.\n```"), "'```{note}' is markup"),
    "a label": (set_source(PROSE, "(here)=\n## Here"), "'(here)=' is markup"),
    "a link to a label": (set_source(PROSE, "See [it](fig-lines-rising)."), "'fig-lines-rising'"),
    "other HTML": (set_source(PROSE, "<div>It rises.</div>"), "has the tag <div>"),
    "an attachment": (attach, "has an attachment"),
    "no heading of a solution": (delete(HEADING), "has no '#### Solution: Another line' above"),
    "another heading": (replace(HEADING, "Another", "No"), "above is called 'Another line'"),
    "a heading on the site too": (set_tags(HEADING), "the tag remove-cell is for headings"),
    "text not on the site": (set_tags(PROSE, "remove-cell"), "the tag remove-cell is for headings"),
    "an unnamed fold": (unnamed, "code_prompt_show must begin with 'Solution: Another line'"),
    "no install cell": (delete(INSTALL), "not the install cell"),
    "other install cell": (replace(INSTALL, "own", "very own"), "not the common one"),
    "two install cells": (set_tags(SUM, "install"), "second install cell"),
    "not executed": (set_count(SUM, None), "was not executed"),
    "out of order": (set_count(SUM, 9), "was executed as number 9"),
    "error": (set_outputs(SUM, ERROR), "stores an error"),
    "stderr": (set_outputs(SUM, printed("4\n"), stderr("careful")), "error stream: careful"),
    "warning": (set_outputs(SUM, printed("x.py:1: UserWarning: no\n")), "'UserWarning'"),
    "TensorFlow's log": (set_outputs(SUM, printed(TF_LOG)), "log line"),
    "old absl log": (set_outputs(SUM, printed("WARNING:tensorflow:old\n")), "log line"),
    "deprecation": (set_outputs(SUM, printed("f is deprecated\n")), "'deprecated'"),
    "path of the checkout": (set_outputs(SUM, printed(f"{ROOT}/x\n")), "path on the machine"),
    "path of a user": (set_outputs(SUM, printed("/home/ada/x 4\n")), "path on the machine"),
    "path in a value": (
        set_outputs(SUM, output("execute_result", data={"text/plain": "'/tmp/x'"})),
        "path on the machine",
    ),
    "lost picture": (
        set_outputs(PLOT, output("execute_result", data={"text/plain": "<Figure size 1x1>"})),
        "without its picture",
    ),
    "lost output": (set_outputs(PLOT), "no picture is stored"),
    "corrupted picture": (
        set_outputs(PLOT, picture("iVBORw0KGgo" + png()[20:])), "not a readable PNG",
    ),
    "truncated picture": (set_outputs(PLOT, picture(png()[:600])), "not a readable PNG"),
    "blank picture": (set_outputs(PLOT, picture(png(blank=True))), "is blank"),
    "displayed picture": (
        set_outputs(PLOT, picture(png(), "display_data")), "must be the last expression",
    ),
    "two pictures": (set_outputs(PLOT, picture(png()), picture(png())), "shows 2 pictures"),
    "undescribed picture": (
        set_outputs(PLOT, picture(png())), "stored without its description",
    ),
    "changed picture": (change_picture, "not the one that was stored with its description"),
    "tolerance without a reason": (allow(within=0.1, why="so"), "without saying why"),
    "unknown tolerance": (allow(around=0.1, why="Each training ends elsewhere"), "no around"),
    "no alt text": (set_figure("image", "alt", ""), "alt text"),
    "short alt text": (set_figure("image", "alt", "line line a line of line"), "says too little"),
    "alt text of signs": (set_figure("image", "alt", "fig_1 - 28x28, 3 x 3, a-b"), "too little"),
    "caption as alt text": (
        set_figure("figure", "caption", good_notebook().cells[4].metadata.mystnb.image.alt),
        "repeats the caption",
    ),
    "no name": (set_figure("figure", "name", "rising"), "mystnb.figure.name"),
    "no caption": (set_figure("figure", "caption", " "), "no mystnb.figure.caption"),
    "widget of a kernel": (
        set_outputs(LAST, output("display_data", data={WIDGET_VIEW: {"model_id": "7"}})),
        "stores a widget",
    ),
    "HTML without alt text": (
        set_outputs(LAST, output("display_data", data={"text/html": "<p><img src='x'></p>"})),
        "an <img> has too little",
    ),
    "state of widgets": (
        lambda notebook: notebook.metadata.update(widgets={}), "stores the state of widgets",
    ),
    "picture behind a control without alt text": (
        show_frames(frames_html(alt="a line")), "behind a control has too little alt text",
    ),
    "blank picture behind a control": (
        show_frames(frames_html(blank=True)), "a picture behind a control is blank",
    ),
    "controls without a name": (show_frames(frames_html(), name="x"), "figure name and caption"),
    "controls without a caption": (show_frames(frames_html(), caption=""), "name and caption"),
    "controls with one alt text": (
        lambda notebook: (
            show_frames(frames_html())(notebook),
            notebook.cells[PLOT].metadata["mystnb"].update(image={"alt": "Two lines"}),
        ),
        "takes no mystnb.image.alt",
    ),
    "ignored at the end": (set_tags(SOLUTION, IGNORE), "no cell after it checks"),
    "ignored twice": (set_tags(CHECKING, IGNORE), "must be compared"),
    "check compared on any data": (set_tags(CHECKING, CHECK), "take off the tag"),
    "check without comparison": (set_source(CHECKING, "print(True)"), "must check a range"),
    "check that failed": (set_outputs(CHECKING, printed("True False\n")), "and no False"),
    "check that says nothing": (set_outputs(CHECKING, printed("Trueish\n")), "must print True"),
    "mostly ignored": (set_tags(SUM, IGNORE), "4 of 6 cells"),
    "misspelt tag": (set_tags(SUM, "nbval-ignore-outputs"), "'nbval-ignore-outputs' is not one"),
    "skipped": (set_tags(SUM, "nbval-skip"), "'nbval-skip' is not one"),
    "comment for nbval": (set_source(SUM, "# NBVAL_SKIP\nprint(4)"), "with tags"),
    "data loaded in a cell compared on any data": (
        set_source(SUM, "data = load_mnist()\nprint(4)"), "loads data",
    ),
    "if on the source": (
        set_source(SUM, "if data.source == 'mnist':\n    print(4)"), "the data's source",
    ),
    "source by another name": (
        set_source(SUM, "where = load_mnist().source\nx = 4 if where.startswith('m') else 5"),
        "the data's source",
    ),
    "source from an earlier cell": (
        lambda notebook: (
            set_source(IMPORTS, "real = data.source == 'm'")(notebook),
            set_source(SUM, "while real:\n    break")(notebook),
        ),
        "the data's source",
    ),
    "match on the source": (
        set_source(SUM, "match data.source:\n    case 'mnist':\n        print(4)"),
        "the data's source",
    ),
    "source of the environment": (
        set_source(SUM, "x = [1 for _ in a if os.environ.get('MNIST_SOURCE')]"),
        "the data's source",
    ),
    "a fold that is no check": (
        lambda notebook: notebook.cells[EXACT].metadata.update(tags=["check"]),
        "prints more than True",
    ),
    "a check that is not compared": (
        lambda notebook: notebook.cells[CHECKING].metadata.update(tags=["check", IGNORE]),
        "and is not compared",
    ),
    "small letters": (
        lambda notebook: notebook.cells[PLOT].outputs[0].metadata[KEY].update(smallest_label=8.9),
        "8.9 pixels high on the page",
    ),
    "three code cells": (delete(PLOT - 1), "third code cell in a row"),
    "long cell": (set_source(SUM, "x = 1\n" * 26), "has 26 lines"),
    "shell": (set_source(SUM, "!ls"), "begins with % or !"),
    "magic": (set_source(SUM, "x = 1\n%time x"), "begins with % or !"),
    "import path": (set_source(SUM, "import sys\nsys.path.append('..')"), "uses sys.path"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_rule_that_is_broken_is_reported(name: str) -> None:
    change, expected = BAD[name]
    notebook = good_notebook()
    change(notebook)
    assert any(expected in problem for problem in lint(notebook, install_cell(None)))


def test_a_picture_with_controls_keeps_to_the_rules() -> None:
    notebook = good_notebook()
    show_frames(frames_html())(notebook)
    assert lint(notebook, install_cell(None)) == []


def test_a_picture_with_controls_gets_todays_script() -> None:
    notebook = good_notebook()
    show_frames(frames_html())(notebook)
    stored = normalise(notebook).cells[PLOT].outputs[0].data["text/html"]
    assert "of yesterday" not in stored
    assert stored.endswith(front_end()["script"])
    assert format_problem(dump_notebook(notebook)) == "is not normalised"


def test_every_rule_has_a_bad_notebook() -> None:
    reported = set()
    for change, _ in BAD.values():
        notebook = good_notebook()
        change(notebook)
        reported |= {rule.__name__ for rule in notebook_lint.RULES if any(rule(notebook))}
    assert reported == {rule.__name__ for rule in notebook_lint.RULES}


def test_printing_the_source_is_allowed() -> None:
    notebook = good_notebook()
    notebook.cells[EXACT].source = "print('The data is', data.source)\nif 1 < 2:\n    print(5)"
    assert lint(notebook, install_cell(None)) == []


def test_a_large_file_is_reported(tmp_path: Path) -> None:
    notebook = good_notebook()
    notebook.cells[INSTALL].source = install_cell(read_address())
    path = tmp_path / "large.ipynb"
    path.write_text(dump_notebook(notebook), "utf-8")
    assert notebook_lint.lint_file(path) == []
    notebook.cells[OPENING].source += "a" * notebook_lint.MAX_BYTES
    path.write_text(dump_notebook(notebook), "utf-8")
    assert "more than 1,500,000" in notebook_lint.lint_file(path)[-1]


def test_normalising_settles_what_changes_from_run_to_run() -> None:
    notebook = good_notebook()
    once = dump_notebook(notebook)
    messy = copy.deepcopy(notebook)
    messy.metadata["language_info"] = {"name": "python", "version": "3.11.2"}
    messy.cells[SUM].metadata["execution"] = {"iopub.execute_input": "2024-01-31T12:00:00Z"}
    messy.cells[SUM].outputs = [printed("wait\r"), printed("4"), printed("\n")]
    for number, cell in enumerate(c for c in messy.cells if c.cell_type == "code"):
        cell.execution_count = 7 + 2 * number
    assert dump_notebook(normalise(messy)) == once
    assert dump_notebook(normalise(notebook)) == once


@given(st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.text("ab\r\n", max_size=6))))
def test_a_streams_text_is_one_however_it_came_and_normalising_again_changes_nothing(
    pieces: list[tuple[str, str]],
) -> None:
    def stored(pieces: list[tuple[str, str]]) -> NotebookNode:
        outputs = [output("stream", name=name, text=text) for name, text in pieces]
        return normalise(new_notebook(cells=[new_code_cell("", id="a", outputs=outputs)]))

    once = stored(pieces)
    assert normalise(once) == once
    whole = {name: "".join(text for other, text in pieces if other == name) for name, _ in pieces}
    assert stored(list(whole.items())) == once


def test_a_stored_picture_is_small_and_looks_the_same() -> None:
    figure = Figure(figsize=(4, 3))
    image = figure.subplots().imshow(np.random.default_rng(0).random((20, 20)), cmap="viridis")
    figure.colorbar(image)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    notebook = good_notebook()
    data = notebook.cells[PLOT].outputs[0].data
    data.clear()
    data["image/png"] = base64.b64encode(buffer.getvalue()).decode()
    stored = normalise(notebook)
    small = base64.b64decode(stored.cells[PLOT].outputs[0].data["image/png"])
    assert len(small) < 0.7 * len(buffer.getvalue())
    with Image.open(buffer) as before, Image.open(io.BytesIO(small)) as after:
        difference = np.asarray(before.convert("RGB"), int) - np.asarray(after.convert("RGB"), int)
    assert np.abs(difference).max() <= 32 and np.abs(difference).mean() < 2
    assert dump_notebook(normalise(stored)) == dump_notebook(stored)


def test_a_transparent_picture_stays_as_it_is() -> None:
    buffer = io.BytesIO()
    Image.new("RGBA", (8, 8), (255, 0, 0, 128)).save(buffer, format="PNG")
    encoded = base64.b64encode(buffer.getvalue()).decode()
    notebook = good_notebook()
    data = notebook.cells[PLOT].outputs[0].data
    data.clear()
    data["image/png"] = encoded
    assert normalise(notebook).cells[PLOT].outputs[0].data["image/png"] == encoded


def test_missing_and_repeated_ids_are_made_from_the_source() -> None:
    notebook = good_notebook()
    kept = [cell["id"] for cell in notebook.cells]
    del notebook.cells[SUM]["id"]
    notebook.cells[EXACT]["id"] = kept[OPENING]
    first, second = normalise(notebook), normalise(notebook)
    ids = [cell["id"] for cell in first.cells]
    assert len(set(ids)) == len(ids)
    assert ids == [cell["id"] for cell in second.cells]
    assert [place for place in range(len(ids)) if ids[place] != kept[place]] == [SUM, EXACT]
    nbformat.validate(first)


def test_two_executions_store_the_same_bytes(tmp_path: Path) -> None:
    """Of text that comes in pieces, a value and a picture."""
    path = tmp_path / "small.ipynb"
    cells = [
        code("import matplotlib.pyplot as plt\nfor n in range(3):\n    print(n, flush=True)"),
        code("figure, ax = plt.subplots()\nax.plot([0, 1])\nplt.close(figure)\nfigure"),
        code("1 + 1"),
    ]
    path.write_text(dump_notebook(new_notebook(cells=cells)), "utf-8")
    store_outputs(path)
    first = path.read_bytes().decode("utf-8")
    store_outputs(path)
    assert path.read_bytes().decode("utf-8") == first
    assert format_problem(first) is None
    assert first.endswith("}\n") and not first.endswith("\n\n")
    shown = [output for cell in read_notebook(first).cells for output in cell.outputs]
    assert [output.get("text") for output in shown] == ["0\n1\n2\n", None, None]


EXPLORERS = """\
import numpy as np
from mnist_helpers import draw_digit, try_filter

try_filter(np.eye(28))"""


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """What two executions of a notebook with controls that ask the kernel store."""
    path = tmp_path_factory.mktemp("run") / "explorers.ipynb"
    cells = [code(EXPLORERS), code("draw_digit(lambda images: np.eye(10)[[2]])")]
    path.write_text(dump_notebook(new_notebook(cells=cells)), "utf-8")
    with clean_settings():
        store_outputs(path)
        first = path.read_bytes().decode("utf-8")
        store_outputs(path)
    return first, path.read_bytes().decode("utf-8")


def test_of_controls_that_ask_the_kernel_a_described_picture_is_stored(
    two_runs: tuple[str, str],
) -> None:
    assert two_runs[0] == two_runs[1]
    notebook = read_notebook(two_runs[0])
    assert "widgets" not in notebook.metadata
    for cell in notebook.cells:
        (shown,) = cell.outputs
        assert set(shown.data) == {"image/png", "text/plain"}
        assert "run this cell in a notebook" in shown.data["text/plain"]
        assert list(unbound(cell)) == []
        about = shown.metadata[KEY]["drawn"]
        assert any("image 1" in line for line in about)


def refused(path: Path, *sources: str) -> str:
    """What the tool says to a notebook that it must leave as it was."""
    path.write_text(
        dump_notebook(new_notebook(cells=[code(source) for source in sources])), "utf-8"
    )
    before = path.read_bytes()
    with pytest.raises(OutputsError) as error:
        store_outputs(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path], "no temporary file is left"
    return str(error.value)


def test_a_cell_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    said = refused(tmp_path / "bad.ipynb", "1", "1 / 0", "2")
    assert said.startswith("cell 1: ")
    assert "ZeroDivisionError: division by zero" in said


def test_what_must_not_be_stored_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A kernel that sees this variable does not watch what C code writes.
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    said = refused(
        tmp_path / "bad.ipynb",
        "import os, sys, time, warnings",
        "print('careful', file=sys.stderr)",
        "_ = os.write(2, b'from C')\ntime.sleep(1)",
        "warnings.warn('old')",
        "os.getcwd()",
        "print('harmless')",
    )
    assert "cell 1: wrote to the error stream: careful" in said
    assert "cell 2: wrote to the error stream: from C" in said
    assert "cell 3: prints a warning or a log line: 'UserWarning'" in said
    assert "cell 4: prints a path on the machine" in said
    assert "cell 5" not in said


def test_a_cell_that_takes_too_long_is_named(tmp_path: Path) -> None:
    notebook = new_notebook(cells=[code("1"), code("import time\ntime.sleep(60)")])
    with pytest.raises(OutputsError, match="cell 1: .*timed out"):
        run(notebook, tmp_path, timeout=5)


def test_outputs_are_refused_without_mnist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "small.ipynb"
    path.write_text(dump_notebook(new_notebook(cells=[code("1")])), "utf-8")
    before = path.read_bytes()
    monkeypatch.setenv("MNIST_DATA_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("MNIST_SOURCE", "digits")
    assert outputs_main([str(path)]) == 1
    assert "outputs are stored from real MNIST alone" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_an_unknown_notebook_is_refused() -> None:
    with pytest.raises(OutputsError, match="no notebook 'nowhere'"):
        find_notebooks(["nowhere"])


def test_a_file_that_is_not_normalised_is_mended(tmp_path: Path) -> None:
    notebook = good_notebook()
    notebook.cells[SUM].metadata["editable"] = True
    path = tmp_path / "chapter.ipynb"
    path.write_text(dump_notebook(notebook), "utf-8")
    assert outputs_main(["--format", str(path)]) == 0
    assert path.read_bytes() == dump_notebook(good_notebook()).encode()


def test_line_ends_of_another_platform_are_reported() -> None:
    text = dump_notebook(good_notebook())
    assert format_problem(text) is None
    assert format_problem(text.replace("\n", "\r\n")) == "has line endings other than line feeds"


@pytest.mark.parametrize(
    "url", [URL, URL + "/", URL + ".git", "https://github.com/a/b.c", "https://github.com/A/b_c-d"]
)
def test_addresses_of_repositories_are_read(url: str) -> None:
    assert parse_url(url) == url.rstrip("/").removesuffix(".git")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "digits",
        "http://github.com/a/b",
        "git@github.com:a/b.git",
        "https://github.com/a",
        "https://github.com/a/b/tree/main",
        "https://github.com/a/b?c=d",
        "https://github.com/a/..",
        "https://github.com.evil.example/a/b",
        "https://example.org/a/b",
        'https://github.com/a/b"',
        "https://github.com/a/b\nx",
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(AddressError, match="give it as https://github.com/OWNER/REPO"):
        parse_url(url)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of everything that may hold the address, without one set."""
    for name in ("pyproject.toml", "_config.yml", "_toc.yml", "CITATION.cff"):
        shutil.copy(ROOT / name, tmp_path / name)
    for path in [*ROOT.glob("*.md"), *(ROOT / "book").rglob("*.md"), *notebook_paths()]:
        copied = tmp_path / path.relative_to(ROOT)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copied)
    set_address(None, tmp_path)
    return tmp_path


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.*")
            if path.is_file()}  # fmt: skip


def test_the_address_is_set_everywhere_at_once(tree: Path) -> None:
    before = contents(tree)
    marked = [tree / name for name, text in before.items() if b"address:begin" in text]
    assert {"pyproject.toml", "_config.yml", "CITATION.cff", "README.md"} <= {
        path.name for path in marked
    }
    assert address_main([URL, "--root", str(tree)]) == 0
    assert read_address(tree) == URL
    project = tomllib.loads((tree / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["urls"]["Repository"] == URL
    config = yaml.safe_load((tree / "_config.yml").read_text("utf-8"))
    assert config["repository"]["url"] == URL
    assert config["launch_buttons"] == {"colab_url": "https://colab.research.google.com"}
    citation = yaml.safe_load((tree / "CITATION.cff").read_text("utf-8"))
    assert citation["repository-code"] == URL
    for path in marked:
        assert URL in path.read_text("utf-8"), f"{path.name} does not hold the address"
    for path in notebook_paths(tree):
        cells = read_notebook(path.read_text("utf-8")).cells
        assert any(cell.source == install_cell(URL) for cell in cells)
        earlier = before[str(path.relative_to(tree))].decode()
        assert format_problem(path.read_bytes().decode()) == format_problem(earlier)
    after = contents(tree)
    assert address_main([URL, "--root", str(tree)]) == 0
    assert contents(tree) == after, "a second time changes nothing"
    assert address_main(["", "--root", str(tree)]) == 0
    assert contents(tree) == before, "unset, everything is as it was"


def test_without_an_address_nothing_points_to_one(tree: Path) -> None:
    text = b"\n".join(contents(tree).values()).decode("utf-8")
    assert "colab.research.google.com/github" not in text
    assert "badge.svg" not in text
    assert "pip install --quiet http" not in text
    assert yaml.safe_load((tree / "_config.yml").read_text("utf-8"))["repository"]["url"] == ""


def test_one_broken_file_keeps_every_other_as_it_was(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tree / "README.md").write_text("<!-- address:begin badges -->\n", "utf-8")
    before = contents(tree)
    assert address_main([URL, "--root", str(tree)]) == 1
    assert "README.md: a block has no line with address:end" in capsys.readouterr().err
    assert contents(tree) == before


@pytest.mark.parametrize("name", blocks(URL))
def test_every_block_keeps_its_indent_and_its_neighbours(name: str) -> None:
    text = f"before\n  <!-- address:begin {name} -->\n  stale\n  <!-- address:end -->\nafter\n"
    new = blocks(URL)
    made = renew_blocks(text, new)
    assert made.startswith(f"before\n  <!-- address:begin {name} -->\n  ")
    assert made.endswith("\n  <!-- address:end -->\nafter\n")
    assert "digits" in made and "stale" not in made
    assert renew_blocks(made, new) == made


def test_an_unknown_block_is_refused() -> None:
    with pytest.raises(AddressError, match="unknown block 'nothing': the known ones are urls"):
        renew_blocks("# address:begin nothing\n# address:end\n", blocks(None))


def test_the_install_cell_is_python_that_ipython_runs() -> None:
    from IPython.core.inputtransformer2 import TransformerManager

    for address in (None, URL):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            compile(TransformerManager().transform_cell(install_cell(address)), "cell", "exec")
    wheel = f"https://some-class.github.io/digits/helpers/{wheel_name()}"
    assert f"%pip install --quiet {wheel}\n" in install_cell(URL)


@pytest.mark.parametrize(
    "tags, folded",
    [
        ((), {}),
        (
            ("hide-cell", CHECK),
            {
                "cellView": "form",
                "collapsed": True,
                "jupyter": {"source_hidden": True, "outputs_hidden": True},
            },
        ),
        (("hide-input",), {"cellView": "form", "jupyter": {"source_hidden": True}}),
        (("hide-output",), {"collapsed": True, "jupyter": {"outputs_hidden": True}}),
        (("install",), {"cellView": "form", "jupyter": {"source_hidden": True}}),
    ],
)
def test_what_the_site_folds_is_folded_in_jupyter_and_colab(
    tags: tuple[str, ...], folded: dict[str, Any]
) -> None:
    cell = code("print(1)", tags=tags)
    cell.metadata["jupyter"] = {"source_hidden": True, "outputs_hidden": True}
    metadata = normalise(new_notebook(cells=[cell])).cells[0].metadata
    assert {name: value for name, value in metadata.items() if name != "tags"} == folded
