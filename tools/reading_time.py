"""How many minutes a chapter takes to read, counted from its notebook."""

from __future__ import annotations

from nbformat import NotebookNode
from notebook_format import CONTROL, tags_of

# For prose that explains, for code that is followed and not only skimmed, and for looking; with a
# control one plays a little.
WORDS_A_MINUTE = 160
LINES_A_MINUTE = 40
PICTURES_A_MINUTE = 4
CONTROLS_A_MINUTE = 1

_LEFT_OUT = {"hide-cell", "remove-cell", "install", "check"}


def reading_minutes(notebook: NotebookNode) -> int:
    """Count a chapter's minutes, at least 1; what stays folded, such as solutions, is left out."""
    words = lines = pictures = controls = 0
    for cell in notebook.cells:
        if _LEFT_OUT & set(tags_of(cell)):
            continue
        if cell.cell_type == "markdown":
            words += len(cell.source.split())
        elif cell.cell_type == "code":
            if "hide-input" not in tags_of(cell):
                lines += len(cell.source.splitlines())
            shown = [output.get("data", {}) for output in cell.outputs]
            if any(CONTROL in "".join(data.get("text/html", "")) for data in shown):
                controls += 1
            else:
                pictures += any("image/png" in data for data in shown)
    reading = words / WORDS_A_MINUTE + lines / LINES_A_MINUTE
    looking = pictures / PICTURES_A_MINUTE + controls / CONTROLS_A_MINUTE
    return max(1, round(reading + looking))
