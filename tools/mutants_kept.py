"""What `make mutants` last caught, kept by chapter in ``tests/mutants.csv``."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from address import ROOT, notebook_paths

FILE = "tests/mutants.csv"
EXACT = ("numbers", "stored pictures", "drawings")
KINDS = (*EXACT, "drawings in ranges")
"""What is altered; a drawing is in a range where its cell says how far it may differ."""


def read(root: Path = ROOT) -> list[dict[str, str]]:
    """The rows of the table, one for each chapter; none while there is no such file.

    A row from before one of `KINDS` was counted is left out: the chapter must be tried again.
    """
    path = root / FILE
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row for row in rows if all(row.get(f"{kind} tried") for kind in KINDS)]


def keep(chapters: Mapping[str, Sequence[tuple[int, int]]], root: Path = ROOT) -> None:
    """Put some chapters' counts, with today's date, in place of those that were kept before.

    Args:
        chapters: How many alterations were caught, and tried, of each of `KINDS`.
        root: The book's folder. A chapter that is no longer there loses its row.
    """
    from mnist_helpers._files import replacing

    today = datetime.now(UTC).date().isoformat()
    known = {row["chapter"]: row for row in read(root)}
    for chapter, counts in chapters.items():
        known[chapter] = {"chapter": chapter, "date": today}
        for kind, (caught, tried) in zip(KINDS, counts, strict=True):
            known[chapter] |= {f"{kind} caught": str(caught), f"{kind} tried": str(tried)}
    rows = [known[path.stem] for path in notebook_paths(root) if path.stem in known]
    if rows:
        with replacing(root / FILE, "w") as file:
            table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
