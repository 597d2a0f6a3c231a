"""A Sphinx extension: the site carries the wheel of the helpers.

A notebook that was downloaded on its own installs them from there (its first cell, which
``address.py`` writes). The wheel is built from a copy of the sources, so that a build of the site
leaves nothing beside them; it holds the same bytes each time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from address import WHEELS
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.typing import ExtensionMetadata

PACKAGE = "mnist_helpers"
# The earliest date that a wheel, a zip file, can name.
_EPOCH = "315532800"


def build_wheel(root: Path, folder: Path) -> Path:
    """Build the wheel of the package that lies in ``root``; return its path in ``folder``."""
    with tempfile.TemporaryDirectory() as copy:
        for name in ("pyproject.toml", "LICENSE", "README.md"):
            shutil.copy(root / name, copy)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(root / PACKAGE, Path(copy, PACKAGE), ignore=ignored)
        command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
        command += ["--no-index", "--disable-pip-version-check", "--wheel-dir", str(folder), copy]
        environment = os.environ | {"SOURCE_DATE_EPOCH": _EPOCH}
        result = subprocess.run(command, env=environment, capture_output=True, text=True)
    if result.returncode != 0:
        raise ExtensionError(f"the helpers' wheel cannot be built:\n{result.stdout}{result.stderr}")
    (wheel,) = folder.glob(f"{PACKAGE}-*.whl")
    return wheel


def _add_wheel(app: Sphinx, exception: Exception | None) -> None:
    """Put the wheel into the finished site (a ``build-finished`` handler)."""
    root = Path(app.srcdir)
    has_sources = (root / PACKAGE / "__init__.py").is_file()
    if exception is not None or app.builder.format != "html" or not has_sources:
        return
    folder = Path(app.outdir) / WHEELS
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    build_wheel(root, folder)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the extension."""
    app.connect("build-finished", _add_wheel)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
