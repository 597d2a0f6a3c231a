"""Pack the built site into a zip that holds the same bytes wherever and whenever it is made.

    python tools/site_zip.py _build/html _build/book.zip

The same site gives the same file: its entries are in alphabetical order, and carry neither the
time at which a file was written nor who may read it.
"""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

# The earliest date that a zip can name, and a plain file that everybody may read.
_DATE = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644 << 16


def pack(folder: Path, target: Path) -> None:
    """Write every file of a folder into a zip, whole or not at all.

    Raises:
        FileNotFoundError: There is no file in the folder.
    """
    files = sorted((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*"))
    files = [(name, path) for name, path in files if path.is_file()]
    if not files:
        raise FileNotFoundError(f"{folder} holds no site: run make book first")
    partial = target.with_name(target.name + ".part")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, path in files:
            entry = zipfile.ZipInfo(name, _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            # Otherwise the file would name the system that it was made on.
            entry.create_system = 3
            entry.external_attr = _MODE
            archive.writestr(entry, path.read_bytes())
    os.replace(partial, target)


if __name__ == "__main__":
    pack(Path(sys.argv[1]), Path(sys.argv[2]))
