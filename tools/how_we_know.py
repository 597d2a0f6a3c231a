"""A Sphinx extension: the counts on the page "How we know", and what made a chapter's outputs.

`book/how-we-know.md` names its counts in double braces; here they are counted from the notebooks
at each build, and read from ``tests/mutants.csv``, which `make mutants` writes. The foot of
each chapter gives the versions that ``tools/outputs.py`` noted when it stored the outputs, with a
link to that page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import mutants_kept
from address import notebook_paths
from docutils import nodes
from mutants_kept import KINDS
from nbformat import NotebookNode
from notebook_format import CONTROL, IGNORE, VERSIONS, read_notebook, tags_of
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util.typing import ExtensionMetadata

PAGE = "book/how-we-know"


def count_cells(notebooks: Iterable[NotebookNode]) -> dict[str, int]:
    """What there is to compare in some notebooks.

    Returns:
        How many ``chapters``, ``cells`` of code, and cells that print or show (``showing``): what
        the ``exact`` ones print is compared to the letter, and the ``ranges`` may differ and are
        followed by a check. And how many ``pictures`` and ``controls``.
    """
    counts = dict.fromkeys(
        ("chapters", "cells", "showing", "exact", "ranges", "pictures", "controls"), 0
    )
    for notebook in notebooks:
        counts["chapters"] += 1
        for cell in notebook.cells:
            if cell.cell_type != "code":
                continue
            counts["cells"] += 1
            shown = [output.get("data", {}) for output in cell.outputs]
            pictures = sum("image/png" in data for data in shown)
            controls = sum(CONTROL in "".join(data.get("text/html", "")) for data in shown)
            prints = len(shown) > pictures + controls
            counts["showing"] += bool(shown)
            counts["ranges" if IGNORE in tags_of(cell) else "exact"] += prints
            counts["pictures"] += pictures
            counts["controls"] += controls
    return counts


def mutants_table(rows: Iterable[Mapping[str, str]], titles: Mapping[str, str]) -> str:
    """What `make mutants` last caught, as a Markdown table with a row for each chapter.

    Args:
        rows: The rows of ``tests/mutants.csv``.
        titles: How to name each chapter, by the name of its file, in the order of the book.
    """
    found = {row["chapter"]: row for row in rows}
    lines = [
        f"| Chapter | {' | '.join(map(str.capitalize, KINDS))} |",
        f"| --- |{' --: |' * len(KINDS)}",
    ]
    for chapter, title in titles.items():
        if chapter in found:
            row = found[chapter]
            cells = (_caught(row[f"{kind} caught"], row[f"{kind} tried"]) for kind in KINDS)
            lines.append(f"| {title} | {' | '.join(cells)} |")
        else:
            lines.append(f"| {title} | not tried yet {'| ' * len(KINDS)}".rstrip())
    return "\n".join(lines)


def mutants_share(rows: Iterable[Mapping[str, str]]) -> str:
    """The share of all alterations that was caught, as a percentage, rounded down to a tenth.

    Raises:
        ValueError: If nothing was tried.
    """
    listed = list(rows)
    caught, tried = (
        sum(int(row[f"{kind} {what}"]) for row in listed for kind in KINDS)
        for what in ("caught", "tried")
    )
    if not tried:
        raise ValueError(f"{mutants_kept.FILE} lists nothing that was tried: run make mutants")
    return f"{caught * 1000 // tried / 10:.1f}%"


def _caught(caught: str, tried: str) -> str:
    return f"{int(caught):,} of {int(tried):,}" if int(tried) else "none"


def made_with(notebook: NotebookNode) -> str:
    """The versions that made a notebook's outputs, as "Python 3.11.2, TensorFlow 2.21.0", or ""."""
    noted = notebook.metadata.get("made_with", {})
    return ", ".join(f"{name} {noted[name]}" for name in VERSIONS if name in noted)


def _chapters(root: Path) -> dict[str, NotebookNode]:
    return {
        path.stem: read_notebook(path.read_text(encoding="utf-8")) for path in notebook_paths(root)
    }


def _count(app: Sphinx, config: Config) -> None:
    """Give the page its counts (a ``config-inited`` handler)."""
    root = Path(app.srcdir)
    if not (root / f"{PAGE}.md").is_file():
        return
    chapters = _chapters(root)
    rows = mutants_kept.read(root)
    titles = {name: f"[](../notebooks/{name}.ipynb)" for name in chapters}
    counts: dict[str, Any] = count_cells(chapters.values())
    counts |= {
        "made_with": "; ".join(sorted({made_with(each) for each in chapters.values()} - {""}))
    }
    counts |= {"mutants": mutants_table(rows, titles), "share": mutants_share(rows)}
    since = date.fromisoformat(min(row["date"] for row in rows))
    counts["since"] = f"{since.day} {since:%B %Y}"
    counts["tried"] = sum(int(row[f"{kind} tried"]) for row in rows for kind in KINDS)
    config.myst_substitutions = {
        name: f"{value:,}" if isinstance(value, int) else value for name, value in counts.items()
    }


def _tell_versions(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Give a chapter's page its versions (an ``html-page-context`` handler)."""
    path = Path(app.srcdir) / f"{pagename}.ipynb"
    if PAGE in app.env.found_docs and path.is_file():
        context["made_with"] = made_with(read_notebook(path.read_text(encoding="utf-8")))
        context["how_we_know"] = PAGE


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the extension."""
    app.connect("config-inited", _count)
    app.connect("html-page-context", _tell_versions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
