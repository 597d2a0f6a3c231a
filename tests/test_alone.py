"""A notebook that was downloaded from its page: no checkout, and an environment without helpers.

The environment sees the libraries of the one that runs the tests, all but ``mnist_helpers``; pip
gets no index. So nothing is downloaded but the wheel.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
import venv
from pathlib import Path

import nbformat
import pytest
from address import ROOT, WHEELS, install_cell, wheel_name
from chromium import serving
from notebook_format import is_install_cell
from site_wheel import build_wheel

pytestmark = pytest.mark.stress

CHAPTER = "flatten"
# Runs a notebook in a kernel of the Python that runs this; a cell that fails ends it.
RUN = """
import asyncio, sys
import nbformat
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient


class ThisPython(KernelSpecManager):
    def get_kernel_spec(self, kernel_name):
        return KernelSpec(**get_kernel_dict())


notebook = nbformat.read(sys.argv[1], as_version=4)
manager = AsyncKernelManager(kernel_spec_manager=ThisPython())
client = NotebookClient(notebook, km=manager, timeout=600)
asyncio.run(client.async_execute(cleanup_kc=True))
nbformat.write(notebook, sys.argv[1])
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """The Python of an environment with every library but the helpers, and its own pip."""
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    for kind in ("purelib", "platlib"):
        for path in Path(sysconfig.get_path(kind)).iterdir():
            if "mnist_helpers" not in path.name and not (libraries / path.name).exists():
                (libraries / path.name).symlink_to(path)
    folder = tmp_path / "environment"
    venv.create(folder, symlinks=True, with_pip=True)
    (site_packages,) = (folder / "lib").glob("python*/site-packages")
    (site_packages / "libraries.pth").write_text(str(libraries), encoding="utf-8")
    return folder / "bin" / "python"


@pytest.fixture
def chapter(tmp_path: Path) -> Path:
    """A chapter in a folder that is empty but for it."""
    folder = tmp_path / "downloads"
    folder.mkdir()
    return Path(shutil.copy(ROOT / "notebooks" / f"{CHAPTER}.ipynb", folder))


def run(python: Path, chapter: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {"PIP_NO_INDEX": "1", "MNIST_SOURCE": "digits", "no_proxy": "127.0.0.1"}
    return subprocess.run(
        [python, "-c", RUN, chapter.name],
        cwd=chapter.parent,
        env=environment,
        capture_output=True,
        text=True,
    )


def assert_it_ran(python: Path, chapter: Path) -> None:
    """The helpers came into this environment, and every cell of the chapter was run."""
    result = run(python, chapter)
    assert result.returncode == 0, result.stderr
    cells = nbformat.read(chapter, as_version=4).cells
    counts = [cell.execution_count for cell in cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    found = [python, "-I", "-c", "import mnist_helpers; print(mnist_helpers.__file__)"]
    where = subprocess.run(found, cwd=chapter.parent, capture_output=True, text=True, check=True)
    assert Path(where.stdout.strip()).is_relative_to(python.parent.parent)


def test_without_a_wheel_the_first_cell_says_what_to_do(python: Path, chapter: Path) -> None:
    result = run(python, chapter)
    assert result.returncode != 0
    assert "put that beside this notebook and run this cell again" in result.stderr


def test_a_wheel_beside_the_notebook_is_installed(python: Path, chapter: Path, wheel: Path) -> None:
    shutil.copy(wheel, chapter.parent)
    assert_it_ran(python, chapter)


def test_where_an_address_is_set_the_wheel_comes_from_the_site(
    python: Path, chapter: Path, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "site" / WHEELS
    folder.mkdir(parents=True)
    shutil.copy(wheel, folder)
    assert wheel.name == wheel_name()
    with serving(folder.parent) as address:
        monkeypatch.setattr("address.site_of", lambda _: f"{address}/")
        notebook = nbformat.read(chapter, as_version=4)
        (first,) = filter(is_install_cell, notebook.cells)
        first.source = install_cell("https://github.com/some-class/digits")
        nbformat.write(notebook, chapter)
        assert_it_ran(python, chapter)
