"""Keras's settings are checked before it is imported: another course may have changed them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

_NEEDED = {"backend": "tensorflow", "image_data_format": "channels_last", "floatx": "float32"}


@contextmanager
def keras_door() -> Iterator[None]:
    """Let Keras be imported inside only with the settings that this book needs.

    Code that does not import Keras runs with any settings.

    Raises:
        ImportError: When Keras is imported with another backend, order of axes or number type.
            The message says what was found, where, and what to do.
    """
    loaded = sys.modules.get("keras")
    found = loaded.config.backend() if loaded is not None else "tensorflow"
    if found == "tensorflow":
        loaded, problem = None, settings_problem()
    else:
        # Hidden meanwhile, so that an import comes to the door.
        del sys.modules["keras"]
        problem = (
            f"Keras already runs on {found!r} in this process, but this book needs 'tensorflow': "
            "restart the kernel, and set KERAS_BACKEND to tensorflow before you import Keras"
        )
    door = _Door(problem)
    sys.meta_path.insert(0, door)
    try:
        yield
    finally:
        sys.meta_path.remove(door)
        if loaded is not None:
            sys.modules["keras"] = loaded


class _Door(MetaPathFinder, Loader):
    """Python asks it first for each module that is not loaded yet."""

    def __init__(self, problem: str | None) -> None:
        self._problem = problem

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where Keras lies, as TensorFlow asks without importing it; None for the rest."""
        spec = PathFinder.find_spec(name) if name == "keras" and self._problem else None
        if spec is not None:
            spec.loader = self
        return spec

    def exec_module(self, module: ModuleType) -> None:
        """Refuse the import itself."""
        raise ImportError(self._problem)


def settings_problem() -> str | None:
    """What is wrong with the settings that Keras would take, in one sentence.

    Keras reads the environment variable ``KERAS_BACKEND``, then ``keras.json`` in the folder
    ``KERAS_HOME``, or else in ``~/.keras``.

    Returns:
        What was found, where, and what to do; None where nothing is wrong.
    """
    variable = os.environ.get("KERAS_BACKEND")
    if variable and variable != _NEEDED["backend"]:
        return (
            f"the environment variable KERAS_BACKEND is {variable!r}, but this book needs Keras "
            "on 'tensorflow': remove the variable or set it to tensorflow, then restart the kernel"
        )
    file = _settings_file()
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):  # Keras takes nothing from it either
        return None
    if not isinstance(found, dict):
        return f"Keras cannot read its settings file {file}: delete it, then restart the kernel"
    if variable:
        found.pop("backend", None)
    for name, needed in _NEEDED.items():
        if found.get(name, needed) != needed:
            return (
                f"{name} is {found[name]!r} in Keras's settings file {file}, but this book needs "
                f"{needed!r}: change it there, or set the environment variable KERAS_HOME to an "
                "empty folder, then restart the kernel"
            )
    return None


def _settings_file() -> Path:
    home = os.path.expanduser("~")
    usual = os.path.join(home if os.access(home, os.W_OK) else "/tmp", ".keras")
    return Path(os.environ.get("KERAS_HOME", usual), "keras.json").expanduser()
