"""Tables of long runs, made once and stored with the package.

``make studies`` writes them (``tools/studies.py`` holds the list); the chapters draw them and
run a short piece of each again. A table is a CSV file in ``mnist_helpers/studies/``.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_helpers._files import replacing, user_path

FOLDER = Path(__file__).parent / "studies"


class StudyError(ValueError):
    """A study that is not there, or whose table is damaged."""


def load_study(study: str | os.PathLike[str]) -> dict[str, npt.NDArray[Any]]:
    """Read the table of a study.

    Args:
        study: The name of one that comes with the package, such as ``"parameters"``, or the
            path of a file that :func:`save_study` wrote.

    Returns:
        The columns by name, all of one length ``[rows]``: int64 or float64 where every entry
        is a number, else text.

    Raises:
        StudyError: If there is no such table, it has no rows, or a row is cut off.
    """
    known = {file.stem: file for file in FOLDER.glob("*.csv")}
    path = known.get(os.fspath(study)) or user_path(study)
    if not path.is_file():
        raise StudyError(
            f"there is no study or file {str(study)!r}; those that come with the book are: "
            f"{', '.join(sorted(known))}"
        )
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    if not rows or any(len(row) != len(header) for row in rows):
        raise StudyError(f"{path} is empty or cut short: write it again with `make studies`")
    columns = zip(*rows, strict=True)
    return {name: _as_array(column) for name, column in zip(header, columns, strict=True)}


def save_study(path: str | os.PathLike[str], columns: Mapping[str, Sequence[Any]]) -> None:
    """Write the table of a study, a CSV file; an older one stays whole until the new one is.

    Args:
        path: The file to write; ``~`` is your home folder.
        columns: The columns by name, all of one length.
    """
    rows = list(zip(*columns.values(), strict=True))
    with replacing(user_path(path), "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _as_array(texts: Sequence[str]) -> npt.NDArray[Any]:
    """An array of the narrowest of int64, float64 and text that holds every entry."""
    for dtype in (np.int64, np.float64):
        try:
            return np.array([dtype(text) for text in texts])
        except ValueError:
            continue
    return np.array(texts)
