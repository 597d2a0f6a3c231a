"""The paths that readers name, and files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Literal


def user_path(path: str | os.PathLike[str]) -> Path:
    """Turn a path that somebody named into one to open: ``~`` becomes their home folder."""
    # Unlike Path.expanduser, this leaves the "~" of an unknown user as it is.
    return Path(os.path.expanduser(path))  # noqa: PTH111


@contextmanager
def replacing(target: Path, mode: Literal["w", "wb"]) -> Iterator[IO[Any]]:
    """Open a file for writing that takes its name only when it is complete.

    Until then, and if the ``with`` block raises, an older file of that name stays as it was.

    Args:
        target: The file.
        mode: ``"wb"`` for bytes, ``"w"`` for text in UTF-8 whose line endings stay as written.

    Raises:
        OSError: If the file cannot be written; the message names it, and a missing folder.
    """
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder: add the name of a file in it")
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"cannot write {target}: there is no folder {target.parent}. Make it first, or "
            "name a folder that exists."
        )
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    encoding, newline = ("utf-8", "") if mode == "w" else (None, None)
    try:
        with unfinished.open(mode, encoding=encoding, newline=newline) as file:
            yield file
            # Otherwise a power cut could leave the new name with nothing behind it.
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(target)
    except OSError as error:
        # A full disk's error names no file; the others name the unfinished one.
        if error.filename in (None, str(unfinished)):
            raise type(error)(
                f"cannot write {target}: {error.strerror or error}. Free some space, or name a "
                "folder that you can write in."
            ) from error
        raise
    finally:
        with suppress(OSError):  # where it was never created
            unfinished.unlink()
