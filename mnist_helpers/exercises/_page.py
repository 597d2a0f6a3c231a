"""An exercise as HTML: a question and, for a script, what to say to each answer."""

from __future__ import annotations

import json
import re
from html import escape
from typing import Any

from mnist_helpers.exercises._kinds import Choice, Exercise, Number, Written

# The 32-bit FNV-1a of G. Fowler, L. C. Noll and P. Vo: draft-eastlake-fnv, section 5. It keeps an
# answer from being read in passing, and no more; a page on plain http or from a file has no
# crypto.subtle.
_BASIS, _PRIME = 0x811C9DC5, 0x01000193


def hashed(text: str) -> str:
    """The FNV-1a hash of ASCII text, eight hexadecimal digits, as ``static/answers.js`` has it."""
    value = _BASIS
    for byte in text.encode("ascii"):
        value = (value ^ byte) * _PRIME % 2**32
    return f"{value:08x}"


def as_html(name: str, exercise: Exercise) -> str:
    """The question; where it can be answered on the page, with hashed answers for the script.

    Where no script runs, the question stays, with a line that says where to answer it.
    """
    parts = [f'<p class="question">{_marked_up(exercise.question)}</p>']
    if isinstance(exercise, Choice):
        options = "".join(f"<li>{_marked_up(text)}</li>" for text in exercise.options)
        parts.append(f'<ol type="a">{options}</ol>')
    parts.append(
        f'<p class="how">In a notebook, replace the three dots with {_marked_up(exercise.wanted)}, '
        "and run the cell.</p>"
    )
    if isinstance(exercise, Written):
        # Inside a script element, "</script" would end it.
        text = json.dumps(_data(name, exercise), ensure_ascii=False, separators=(",", ":"))
        text = text.replace("</", "<\\/")
        parts.append(f'<script type="application/json">{text}</script>')
    kind = type(exercise).__name__.lower()
    body = "\n".join(parts)
    return f'<div class="mnist-answer" data-kind="{kind}">\n{body}\n</div>'


def _data(name: str, exercise: Written) -> dict[str, Any]:
    """What the script needs. The name goes into the hashes: they differ between exercises."""
    wanted = exercise.wanted
    data: dict[str, Any] = {
        "name": name,
        "wanted": "Choose one." if isinstance(exercise, Choice) else _sentence(wanted),
        "sheet": [
            [[hashed(f"{name}:{key}") for key in keys], said] for keys, said in exercise.sheet()
        ],
        "otherwise": exercise.otherwise,
    }
    if isinstance(exercise, Number):
        data["decimals"] = exercise.decimals
    return data


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _marked_up(text: str) -> str:
    """Plain text as HTML, with whatever is in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))
