"""Execute notebooks on real MNIST and store their outputs, so that diffs stay quiet.

    make outputs                          every notebook, in the order of _toc.yml
    python tools/outputs.py convolution   one of them, by name or by path
    python tools/outputs.py --format      execute nothing, write files as this command would

Each notebook runs in a kernel of its own. If a cell fails, or writes to the error stream,
or what it printed holds a warning or a path on this machine, the notebook's file stays as
it was.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from unittest.mock import patch

from address import install_cell, notebook_paths, read_address
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from notebook_format import (
    VERSIONS,
    dump_notebook,
    is_install_cell,
    normalise,
    read_notebook,
    write_text,
)
from notebook_lint import clean_outputs, no_machine_paths
from pictures import bind, watch_figures

TIMEOUT = 1800

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class OutputsError(RuntimeError):
    """A notebook cannot be executed, or what it printed cannot be stored."""


class _ThisPython(KernelSpecManager):
    """Finds the kernel of the Python that is running, whatever kernels the user installed."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        from ipykernel.kernelspec import RESOURCES, get_kernel_dict

        return KernelSpec(resource_dir=RESOURCES, **get_kernel_dict())


@contextmanager
def clean_settings() -> Iterator[None]:
    """Keep the user's IPython profile and history out of kernels; make them describe pictures."""
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, IPYTHONDIR=folder):
        watch_figures(folder)
        yield


def require_mnist() -> None:
    """Make sure that the kernels, which inherit this environment, use real MNIST."""
    from mnist_helpers.data import DataError, load_mnist

    os.environ.pop("MNIST_SOURCE", None)
    try:
        load_mnist("mnist")
    except DataError as error:
        raise OutputsError(f"outputs are stored from real MNIST alone: {error}") from error


def run(notebook: NotebookNode, folder: Path, timeout: int = TIMEOUT) -> NotebookNode:
    """A normalised copy of a notebook, executed in a clean kernel in ``folder``.

    Raises:
        OutputsError: If a cell fails or takes longer than ``timeout`` seconds; the message
            names the cell.
    """
    work = normalise(notebook)
    for cell in work.cells:
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = []
    client = NotebookClient(
        work,
        km=AsyncKernelManager(kernel_spec_manager=_ThisPython()),
        timeout=timeout,
        record_timing=False,
        store_widget_state=False,
        # The kernel says nothing about its transport, this machine's own; it does say why it died.
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
    )
    try:
        # Given a manager, nbclient would leave the kernel running, with a gigabyte of memory.
        asyncio.run(client.async_execute(cleanup_kc=True))
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        reached = [cell for cell in work.cells if cell.get("execution_count")]
        place = work.cells.index(reached[-1]) if reached else 0
        raise OutputsError(f"cell {place}: {_COLOUR.sub('', str(error))}") from error
    result = normalise(work)
    bind(result)
    return result


def execute(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """What `run` gives; an OutputsError too if a cell prints what must not be stored."""
    result = run(notebook, folder)
    problems = [*clean_outputs(result), *no_machine_paths(result)]
    if problems:
        raise OutputsError("\n".join(problems))
    return result


def versions() -> dict[str, str]:
    """The versions of what makes the outputs here, by the names that readers know."""
    return {
        name: platform.python_version() if package == "python" else version(package)
        for name, package in VERSIONS.items()
    }


def store_outputs(path: Path) -> None:
    """Execute one notebook and write it back; where `execute` raises, its file stays untouched."""
    notebook = read_notebook(path.read_text(encoding="utf-8"))
    for cell in filter(is_install_cell, notebook.cells):
        cell.source = install_cell(read_address())
    result = execute(notebook, path.parent)
    result.metadata["made_with"] = versions()
    write_text(path, dump_notebook(result))


def format_problem(text: str) -> str | None:
    """Why the text of a notebook's file is not as `store_outputs` writes it, or None."""
    if "\r" in text:
        return "has line endings other than line feeds"
    return None if dump_notebook(normalise(read_notebook(text))) == text else "is not normalised"


def find_notebooks(names: Sequence[str]) -> list[Path]:
    """The notebooks that are meant by names or paths; all of them where there are none."""
    known = {path.stem: path for path in notebook_paths()}
    if not names:
        return list(known.values())
    found = []
    for name in names:
        path = Path(name)
        if path.suffix == ".ipynb" and path.is_file():
            found.append(path.resolve())
        elif path.stem in known:
            found.append(known[path.stem])
        else:
            raise OutputsError(f"no notebook {name!r}: there are {', '.join(known) or 'none'}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description="Execute notebooks and store their outputs.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a notebook; default: all")
    parser.add_argument("--format", action="store_true", help="execute nothing, normalise files")
    options = parser.parse_args(arguments)
    try:
        paths = find_notebooks(options.names)
        if not options.format:
            require_mnist()
    except OutputsError as error:
        print(f"outputs: {error}", file=sys.stderr)
        return 1
    if options.format:
        for path in paths:
            text = path.read_bytes().decode("utf-8")
            if format_problem(text):
                write_text(path, dump_notebook(normalise(read_notebook(text))))
                print(f"{path.name}: normalised")
        return 0
    failed = []
    with clean_settings():
        for path in paths:
            start = time.perf_counter()
            try:
                store_outputs(path)
            except OutputsError as error:
                failed.append(path.stem)
                print(f"{path.stem}: its file is unchanged\n{error}", file=sys.stderr)
            else:
                print(f"{path.stem}: {time.perf_counter() - start:.1f} s", flush=True)
    if failed:
        print(f"outputs: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
