"""What every notebook of the book keeps to, beyond what nbval compares.

    python tools/notebook_lint.py [NAME ...]

Each rule is a function that takes a notebook and yields one sentence for each problem, so
that its test can show it a small bad notebook. nbval passes over pictures, widgets and
cells without outputs; these rules do not.
"""

from __future__ import annotations

import ast
import base64
import io
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from address import ROOT, install_cell, notebook_paths, read_address
from bs4 import BeautifulSoup
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode
from notebook_format import CONTROL, IGNORE, WIDGET_VIEW, is_install_cell, read_notebook, tags_of
from pictures import KEY, unbound
from PIL import Image, UnidentifiedImageError

CHECK = "nbval-check-output"
HIDING = {"hide-cell", "hide-input", "hide-output", "remove-cell"}
FOLDED = "check"
TAGS = {"install", IGNORE, CHECK, FOLDED, "full-width", *HIDING}

MAX_BYTES = 1_500_000
MAX_LINES = 25
MAX_CODE_RUN = 2
MIN_EXACT_SHARE = 0.8
MIN_ALT_WORDS = 5
MIN_LABEL = 9

_OPENING = ("**What you will see:**", "**What you need:**", "**How long it takes:**")
_CLOSING = ("## What you saw", "## Exercises", "Next: ")
# Markup of MyST, which JupyterLab, Colab and GitHub show as it is written: roles, directives
# and labels.
_ROLE = re.compile(r"\{[A-Za-z][\w:.-]*\}`[^`\n]*`?")
_DIRECTIVE = re.compile(r"^[ >]*(?::{3,}|(?:`{3,}|~{3,})\{).*|^\([\w-]+\)=[ \t]*$", re.MULTILINE)
_FENCED = re.compile(r"^[ >]*(`{3,}|~{3,}).*?^[ >]*\1", re.MULTILINE | re.DOTALL)
_CODE_OR_MATHS = re.compile(r"(`+).*?\1|(\$+)(?!\s).*?(?<!\s)\2", re.DOTALL)
_TARGET = re.compile(r"\]\(([^)]*)\)")
_ADDRESS = re.compile(r"https?://\S+|#[\w-]+|[\w/.-]+\.(?:png|svg|(?:ipynb|md)(?:#[\w-]+)?)")
_HTML = re.compile(r"</?([A-Za-z][\w-]*)")
_HTML_ALLOWED = {"details", "summary"}
_LENGTH_OF_TIME = re.compile(r"\d+\s*(?:-|–|to)?\s*\d*\s*(?:second|minute|hour)s?\b")
_FIGURE_NAME = re.compile(r"fig(-[a-z0-9]+)+")
_WORD = re.compile(r"[A-Za-z]{3,}")
_BASE64 = re.compile(r";base64,[A-Za-z0-9+/=]+")
_NOISE = re.compile(
    r"\w*Warning\b"  # Python's warnings, whatever their class
    r"|\b[Dd]eprecated\b"
    r"|^[IWEF]\d{4} \d\d:\d\d"  # absl and glog
    r"|^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWEF] "  # TensorFlow's own log
    r"|^(?:WARNING|ERROR|INFO):(?:tensorflow|absl)"
    r"|oneDNN custom operations|cuda drivers|TF_ENABLE_ONEDNN_OPTS|rebuild TensorFlow",
    re.MULTILINE,
)


def _code_cells(notebook: NotebookNode) -> list[tuple[int, NotebookNode]]:
    return [(i, cell) for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"]


def _prose(notebook: NotebookNode) -> list[tuple[int, NotebookNode]]:
    return [(i, cell) for i, cell in enumerate(notebook.cells) if cell.cell_type == "markdown"]


def _nodes(cell: NotebookNode) -> Iterator[ast.AST]:
    """The nodes of a cell's syntax tree, in which IPython's magic is a call."""
    return ast.walk(ast.parse(TransformerManager().transform_cell(cell.source)))


def _texts(cell: NotebookNode) -> Iterator[str]:
    """Everything that a code cell printed or showed, as text, pictures left out."""
    for output in cell.outputs:
        if output.output_type == "stream":
            yield output.text
        elif output.output_type == "error":
            yield "\n".join([output.ename, output.evalue, *output.traceback])
        for kind, value in output.get("data", {}).items():
            if kind.startswith("text/") and isinstance(value, str):
                yield _BASE64.sub("", value)


def _prints(cell: NotebookNode) -> bool:
    """Whether a reader gets text from a cell; what stands for a picture does not count."""
    for output in cell.outputs:
        data = output.get("data", {})
        if output.output_type == "stream" or (data and "image/png" not in data):
            return True
    return False


def _is_sentence(alt: str) -> bool:
    return len({word.lower() for word in _WORD.findall(alt)}) >= MIN_ALT_WORDS


def opening(notebook: NotebookNode) -> Iterator[str]:
    """A title, then what one will see, what one needs and how long it takes."""
    first = notebook.cells[0] if notebook.cells else None
    if first is None or first.cell_type != "markdown":
        yield "cell 0: must be Markdown that begins with '# ' and the title"
        return
    lines = first.source.splitlines()
    if not re.match(r"# \S", lines[0] if lines else ""):
        yield "cell 0: must begin with '# ' and the title"
    if "> **In this chapter**" not in lines:
        yield "cell 0: has no '> **In this chapter**'"
    for start in _OPENING:
        if start not in first.source:
            yield f"cell 0: has no {start}"
    if not _LENGTH_OF_TIME.search(first.source.partition(_OPENING[-1])[2]):
        yield f"cell 0: {_OPENING[-1]} names no number of minutes or seconds"


def one_title(notebook: NotebookNode) -> Iterator[str]:
    """One heading of the first level: a second one would be a chapter in the contents."""
    for i, cell in _prose(notebook):
        titles = re.findall(r"^# ", _FENCED.sub("", cell.source), flags=re.MULTILINE)
        if len(titles) > (i == 0):
            yield f"cell {i}: has a second title; begin sections with '## '"


def closing(notebook: NotebookNode) -> Iterator[str]:
    """What one saw, exercises, and where it goes next, in this order."""
    lines = [line for _, cell in _prose(notebook) for line in cell.source.splitlines()]
    places = []
    for wanted in _CLOSING:
        found = [i for i, line in enumerate(lines) if (line + " ").startswith(wanted)]
        if not found:
            yield f"the end: has no line that begins with {wanted!r}"
        else:
            places.append(found[-1])
    if places != sorted(places):
        yield f"the end: the order is {', '.join(repr(wanted) for wanted in _CLOSING)}"


def plain_markdown(notebook: NotebookNode) -> Iterator[str]:
    """CommonMark, formulas and folds: what every program that opens a notebook understands."""
    for i, cell in _prose(notebook):
        if cell.get("attachments"):
            yield f"cell {i}: has an attachment, which the site does not show"
        text = _FENCED.sub("", cell.source)
        for markup in [*_DIRECTIVE.finditer(cell.source), *_ROLE.finditer(text)]:
            yield f"cell {i}: {markup[0]!r} is markup that only the site understands"
        text = _CODE_OR_MATHS.sub("", text)
        for target in _TARGET.findall(text):
            if not _ADDRESS.fullmatch(target):
                yield f"cell {i}: a link to {target!r}, which is neither an address nor a file"
        for tag in sorted(set(_HTML.findall(text)) - _HTML_ALLOWED):
            yield f"cell {i}: has the tag <{tag}>; allowed: {', '.join(sorted(_HTML_ALLOWED))}"


def solutions(notebook: NotebookNode) -> Iterator[str]:
    """Each solution is named after its exercise, where it unfolds and in a heading of its own.

    The site shows the fold alone: there the heading would say the same thing again.
    """
    exercise, has_heading, after = "", False, False
    for i, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            after = after or "## Exercises" in cell.source.splitlines()
            headings = re.findall(r"^### (.+)$", cell.source, flags=re.MULTILINE)
            exercise = headings[-1] if headings else exercise
            has_heading = cell.source == f"#### Solution: {exercise}"
            if cell.source.startswith("#### Solution:") != has_heading:
                yield f"cell {i}: the exercise above is called {exercise!r}"
            elif has_heading != ("remove-cell" in tags_of(cell)):
                yield f"cell {i}: the tag remove-cell is for headings of solutions, all of them"
        elif after and "hide-cell" in tags_of(cell):
            if not has_heading:
                yield f"cell {i}: has no '#### Solution: {exercise}' above it"
            for key in ("code_prompt_show", "code_prompt_hide"):
                prompt = cell.metadata.get("mystnb", {}).get(key, "")
                if not prompt.startswith(f"Solution: {exercise}"):
                    yield f"cell {i}: mystnb.{key} must begin with 'Solution: {exercise}'"


def install_cell_first(notebook: NotebookNode, expected: str) -> Iterator[str]:
    """The first code cell, and it alone, is the install cell, the same in every notebook."""
    cells = _code_cells(notebook)
    if not cells or not is_install_cell(cells[0][1]):
        yield "the first code cell is not the install cell (tag 'install')"
    elif cells[0][1].source != expected:
        yield "the install cell is not the common one: run tools/address.py or tools/outputs.py"
    for i, cell in cells[1:]:
        if is_install_cell(cell):
            yield f"cell {i}: a second install cell"


def executed_in_order(notebook: NotebookNode) -> Iterator[str]:
    """Every code cell was executed, from top to bottom, in one kernel."""
    for expected, (i, cell) in enumerate(_code_cells(notebook), start=1):
        if cell.execution_count is None:
            yield f"cell {i}: was not executed"
        elif cell.execution_count != expected:
            yield f"cell {i}: was executed as number {cell.execution_count}, not {expected}"


def clean_outputs(notebook: NotebookNode) -> Iterator[str]:
    """No error, nothing on the error stream, no warning and no line of a log."""
    for i, cell in _code_cells(notebook):
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"cell {i}: stores an error: {output.ename}: {output.evalue}"
            elif output.get("name") == "stderr":
                yield f"cell {i}: wrote to the error stream: {output.text.strip()[:200]}"
        for text in _texts(cell):
            noise = _NOISE.search(text)
            if noise:
                yield f"cell {i}: prints a warning or a log line: {noise[0].strip()!r}"


def no_machine_paths(notebook: NotebookNode) -> Iterator[str]:
    """No output tells where on a machine it was made."""
    own = {str(ROOT), str(Path.home()), tempfile.gettempdir()} - {"/"}
    others = (r"/tmp/", r"/home/\w", r"/Users/\w", r"[A-Z]:\\\\?Users", "site-packages")
    pattern = re.compile("|".join([*map(re.escape, sorted(own)), *others]))
    for i, cell in _code_cells(notebook):
        for text in _texts(cell):
            path = pattern.search(text)
            if path:
                yield f"cell {i}: prints a path on the machine: {path[0]!r}"


def _picture_problem(data: str, kind: str = "PNG") -> str | None:
    """Why a base64-encoded picture shows nothing, or None."""
    try:
        raw = base64.b64decode(data, validate=False)
        image = Image.open(io.BytesIO(raw))
        image.load()
    except (ValueError, OSError, SyntaxError, UnidentifiedImageError) as error:
        return f"is not a readable {kind} ({error})"
    if image.format != kind:
        return f"is {image.format}, not {kind}"
    colours = image.convert("RGBA").getcolors(image.width * image.height) or []
    if max(count for count, _ in colours) > 0.999 * image.width * image.height:
        return "is blank"
    return None


def pictures(notebook: NotebookNode) -> Iterator[str]:
    """Each picture can be seen, and is described for whoever cannot see it."""
    for i, cell in _code_cells(notebook):
        meta = cell.metadata.get("mystnb", {})
        alt = meta.get("image", {}).get("alt", "")
        name = meta.get("figure", {}).get("name", "")
        caption = meta.get("figure", {}).get("caption", "")
        stored = 0
        for output in cell.outputs:
            data = output.get("data", {})
            if "image/png" in data:
                stored += 1
                if output.output_type != "execute_result":
                    yield f"cell {i}: its Figure must be the last expression of the cell"
                problem = _picture_problem(data["image/png"])
                if problem:
                    yield f"cell {i}: its picture {problem}"
            elif data.get("text/plain", "").startswith("<Figure size"):
                yield f"cell {i}: stores a Figure without its picture"
        if stored > 1:
            yield f"cell {i}: shows {stored} pictures; only one can have the alt text"
        if stored and not _is_sentence(alt):
            yield f"cell {i}: its alt text (mystnb.image.alt) says too little: {alt!r}"
        if stored and alt.strip() == caption.strip():
            yield f"cell {i}: its alt text only repeats the caption"
        if stored and not _FIGURE_NAME.fullmatch(name):
            yield f"cell {i}: mystnb.figure.name must be like 'fig-chapter-what', not {name!r}"
        if stored and not caption.strip():
            yield f"cell {i}: its picture has no mystnb.figure.caption"
        if not stored and _frames(cell):
            # Each of its pictures has an alternative text of its own.
            if alt:
                yield f"cell {i}: a picture with controls takes no mystnb.image.alt"
            if not _FIGURE_NAME.fullmatch(name) or not caption.strip():
                yield f"cell {i}: its picture with controls has no mystnb.figure name and caption"
        elif not stored and (alt or name or caption):
            yield f"cell {i}: has alt text or a caption, and no picture is stored"


def _frames(cell: NotebookNode) -> list[str]:
    """The HTML of the pictures with controls that a cell shows (mnist_helpers.widgets)."""
    shown = [output.get("data", {}).get("text/html", "") for output in cell.outputs]
    return [html for html in shown if CONTROL in html]


def _frame_alts(html: str) -> list[str]:
    """The alternative texts of the pictures that the controls lead to."""
    data = re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    return [alt for _, alt, _ in json.loads(data[1]).get("frames", [])] if data else []


def described_pictures(notebook: NotebookNode) -> Iterator[str]:
    """Each picture is stored with what it draws; where that may differ, there is a reason."""
    for i, cell in _code_cells(notebook):
        for problem in unbound(cell):
            yield f"cell {i}: {problem}"
        for output in cell.outputs:
            label = output.get("metadata", {}).get(KEY, {}).get("smallest_label", MIN_LABEL)
            if label < MIN_LABEL:
                yield (
                    f"cell {i}: a label of its picture is {label} pixels high on the page, less "
                    f"than {MIN_LABEL}: make the figure smaller or the letters larger"
                )
        allowed = cell.metadata.get("drawn")
        if allowed is not None and not _is_sentence(allowed.get("why", "")):
            yield f"cell {i}: lets its picture differ (drawn) without saying why"
        unknown = set(allowed or ()) - {"why", "within", "differs"}
        if unknown:
            yield f"cell {i}: drawn takes no {', '.join(sorted(unknown))}"


def widgets(notebook: NotebookNode) -> Iterator[str]:
    """No widget that needs a kernel is stored, and the images in HTML have alt text."""
    if "widgets" in notebook.metadata:
        yield "the metadata: stores the state of widgets, for which a page asks other hosts"
    for i, cell in _code_cells(notebook):
        for output in cell.outputs:
            data = output.get("data", {})
            if WIDGET_VIEW in data:
                yield f"cell {i}: stores a widget, which is dead where there is no kernel"
            for image in BeautifulSoup(data.get("text/html", ""), "html.parser")("img"):
                if not _is_sentence(alt := str(image.get("alt", ""))):
                    yield f"cell {i}: an <img> has too little alt text: {alt!r}"
        for html in _frames(cell):
            for alt in _frame_alts(html):
                if not _is_sentence(alt):
                    yield f"cell {i}: a picture behind a control has too little alt text: {alt!r}"
            for kind, data in re.findall(r"data:image/(png|webp);base64,([A-Za-z0-9+/=]+)", html):
                problem = _picture_problem(data, kind.upper())
                if problem:
                    yield f"cell {i}: a picture behind a control {problem}"


def _compares(cell: NotebookNode) -> bool:
    """Whether a cell computes something true or false, rather than printing the word."""
    named = {"allclose", "isclose", "array_equal", "all", "any", "equal"}
    return any(
        isinstance(node, ast.Compare)
        or isinstance(node, ast.Call)
        and ast.unparse(node.func).split(".")[-1] in named
        for node in _nodes(cell)
    )


def ignored_is_checked(notebook: NotebookNode) -> Iterator[str]:
    """An output that nbval does not compare is checked by the next code cell."""
    cells = _code_cells(notebook)
    for place, (i, cell) in enumerate(cells):
        if IGNORE not in tags_of(cell):
            continue
        if place + 1 == len(cells):
            yield f"cell {i}: is not compared, and no cell after it checks what it printed"
            continue
        j, check = cells[place + 1]
        printed = "\n".join(_texts(check))
        if IGNORE in tags_of(check):
            yield f"cell {j}: must be compared: it follows cell {i}, which is not"
        elif CHECK in tags_of(check):
            yield f"cell {j}: checks what depends on the data: take off the tag {CHECK}"
        if not _compares(check):
            yield f"cell {j}: must check a range of what cell {i} printed"
        if not re.search(r"\bTrue\b", printed) or re.search(r"\bFalse\b", printed):
            yield f"cell {j}: must print True and no False: it checks cell {i}"


def folded_checks(notebook: NotebookNode) -> Iterator[str]:
    """A cell that the page folds as checked prints True, and nothing else."""
    for i, cell in _code_cells(notebook):
        if FOLDED not in tags_of(cell):
            continue
        printed = "\n".join(_texts(cell)).split("\n")
        if not all(line.endswith("True") for line in map(str.rstrip, printed) if line):
            yield f"cell {i}: has the tag {FOLDED!r}, and prints more than True"
        elif IGNORE in tags_of(cell):
            yield f"cell {i}: has the tag {FOLDED!r}, and is not compared"


def mostly_compared(notebook: NotebookNode) -> Iterator[str]:
    """At least four in five of the cells that print text are compared exactly."""
    printing = [cell for _, cell in _code_cells(notebook) if _prints(cell)]
    exact = [cell for cell in printing if IGNORE not in tags_of(cell)]
    if printing and len(exact) < MIN_EXACT_SHARE * len(printing):
        yield f"only {len(exact)} of {len(printing)} cells that print text are compared exactly"


def known_tags(notebook: NotebookNode) -> Iterator[str]:
    """No tag is misspelt, and none takes a cell out of the comparison unseen."""
    for i, cell in enumerate(notebook.cells):
        for tag in tags_of(cell):
            if tag not in TAGS:
                yield f"cell {i}: the tag {tag!r} is not one of {', '.join(sorted(TAGS))}"
        if cell.cell_type == "code" and re.search(r"#\s*(NBVAL|PYTEST)_", cell.source):
            yield f"cell {i}: mark cells for nbval with tags, not with comments"


def checked_on_any_data(notebook: NotebookNode) -> Iterator[str]:
    """What is compared even on the stand-in does not load data: loading says which data it is."""
    for i, cell in _code_cells(notebook):
        if CHECK not in tags_of(cell):
            continue
        for node in _nodes(cell):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("load_mnist"):
                yield f"cell {i}: loads data, so it must not have the tag {CHECK}"


def _mentions(node: ast.AST, names: set[str]) -> bool:
    return any(
        getattr(part, "attr", None) == "source"
        or getattr(part, "id", None) in names
        or getattr(part, "value", None) in ("MNIST_SOURCE", "MNIST_DATA_DIR")
        for part in ast.walk(node)
    )


def same_on_any_data(notebook: NotebookNode) -> Iterator[str]:
    """No cell does one thing on MNIST and another on the stand-in digits."""
    names: set[str] = set()
    for i, cell in _code_cells(notebook):
        for node in _nodes(cell):
            if isinstance(node, ast.Assign) and _mentions(node.value, names):
                for target in node.targets:
                    names |= {t.id for t in ast.walk(target) if isinstance(t, ast.Name)}
            # What `if`, `while`, `assert`, `match` and comprehensions ask, and other comparisons.
            asked = [getattr(node, name, None) for name in ("test", "subject")]
            asked += [
                *getattr(node, "ifs", []),
                isinstance(node, ast.Compare | ast.BoolOp) and node,
            ]
            if any(_mentions(question, names) for question in asked if question):
                yield f"cell {i}: does different things depending on the data's source"
                break


def rhythm(notebook: NotebookNode) -> Iterator[str]:
    """Short cells, and a word between them."""
    run = 0
    for i, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            run = 0
            continue
        run += 1
        if run == MAX_CODE_RUN + 1:
            yield f"cell {i}: is the third code cell in a row; say something before it"
        lines = cell.source.splitlines()
        if len(lines) > MAX_LINES:
            yield f"cell {i}: has {len(lines)} lines, more than {MAX_LINES}"


def plain_python(notebook: NotebookNode) -> Iterator[str]:
    """No magic but in the install cell, no change of the import path."""
    for i, cell in _code_cells(notebook):
        named = [ast.unparse(n) for n in _nodes(cell) if isinstance(n, ast.Attribute | ast.Name)]
        if not is_install_cell(cell) and "get_ipython" in named:
            yield f"cell {i}: has a line that begins with % or !"
        for name in {"sys.path", "sys.modules"}.intersection(named):
            yield f"cell {i}: uses {name}"


RULES = (
    opening,
    one_title,
    closing,
    plain_markdown,
    solutions,
    executed_in_order,
    clean_outputs,
    no_machine_paths,
    pictures,
    described_pictures,
    widgets,
    ignored_is_checked,
    folded_checks,
    mostly_compared,
    known_tags,
    checked_on_any_data,
    same_on_any_data,
    rhythm,
    plain_python,
)


def lint(notebook: NotebookNode, expected_install_cell: str) -> list[str]:
    """Every problem in one notebook, as sentences."""
    problems = list(install_cell_first(notebook, expected_install_cell))
    for rule in RULES:
        problems.extend(rule(notebook))
    return problems


def lint_file(path: Path) -> list[str]:
    """Every problem with one notebook's file, its size among them."""
    text = path.read_text(encoding="utf-8")
    problems = lint(read_notebook(text), install_cell(read_address()))
    size = path.stat().st_size
    if size > MAX_BYTES:
        problems.append(f"the file has {size:,} bytes, more than {MAX_BYTES:,}")
    return problems


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    names = [Path(name).stem for name in (sys.argv[1:] if arguments is None else arguments)]
    known = {path.stem: path for path in notebook_paths()}
    problems = [f"no notebook {name!r}" for name in names if name not in known]
    for name in names or known:
        if name in known:
            problems += [f"{name}.ipynb: {problem}" for problem in lint_file(known[name])]
    print(*problems, sep="\n")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
