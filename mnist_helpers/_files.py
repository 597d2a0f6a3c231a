"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal


@contextmanager
def replacing(target: Path, mode: Literal["w", "wb"]) -> Iterator[IO[Any]]:
    """Open a file for writing that takes its name only when it is complete.

    Until then, and if the ``with`` block raises, an older file of that name stays as it was.

    Args:
        target: The file.
        mode: ``"wb"`` for bytes, ``"w"`` for text in UTF-8 whose line ends stay as written.

    Raises:
        OSError: If the file cannot be written.
    """
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    encoding, newline = ("utf-8", "") if mode == "w" else (None, None)
    try:
        with unfinished.open(mode, encoding=encoding, newline=newline) as file:
            yield file
            # Else a power cut could leave the new name with nothing behind it.
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
