"""What README.md promises to a new user, where a checkout, a home or a terminal is unusual.

``make`` really runs, in a copy of the checkout. What it would install is there already: the
libraries of the environment that runs the tests, through a ``.pth`` file. So nothing is
downloaded, and pip finds each requirement of the lock met. (The download itself is part of
``.ci/run``, which begins with ``make venv``.)
"""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

import pytest
from address import ROOT
from packaging.requirements import Requirement

NAME = "Mein Büchlein, 第 2 版"
SMALL = "tests/test_shapes.py notebooks/flatten.ipynb"

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which("make") is None, reason="there is no make here"
)


def tracked(root: Path) -> list[str]:
    """The files that a new user has: those that Git knows."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("this is no checkout of Git's")
    return [name for name in listed.stdout.split("\0") if (root / name).is_file()]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this checkout in a folder whose name has spaces and letters beyond ASCII."""
    folder = tmp_path / NAME
    for name in tracked(ROOT):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture
def newcomer(tmp_path: Path) -> dict[str, str]:
    """Variables of somebody with an empty home, no UTF-8, no MNIST, and no internet."""
    home = tmp_path / "home"
    home.mkdir()
    nowhere = "http://127.0.0.1:9"  # nothing listens there
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LC_ALL": "C",
        "PIP_NO_INDEX": "1",
        "http_proxy": nowhere,
        "https_proxy": nowhere,
    }


def make(checkout: Path, variables: dict[str, str], *arguments: str) -> tuple[int, str]:
    """Run make; return its exit status and all that it wrote, which must be UTF-8."""
    result = subprocess.run(
        ["make", f"PYTHON={sys.executable}", *arguments],
        cwd=checkout,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return result.returncode, result.stdout.decode("utf-8")


def lend_libraries(checkout: Path) -> None:
    """Begin the checkout's environment with the libraries of this one."""
    libraries = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    venv.create(checkout / ".venv", symlinks=True)
    (site_packages,) = (checkout / ".venv" / "lib").glob("python*/site-packages")
    (site_packages / "libraries.pth").write_text("\n".join(sorted(libraries)), encoding="utf-8")
    # pip leaves alone what is there, its programs included: this is how it would write one.
    code = """
from pip._vendor.distlib.scripts import ScriptMaker
ScriptMaker(None, ".venv/bin").make("jupyter-book = jupyter_book.cli.main:main")
"""
    python = checkout / ".venv" / "bin" / "python"
    subprocess.run([python, "-c", code], cwd=checkout, check=True)


def is_locked() -> bool:
    """Whether the environment that runs the tests is the lock's."""
    versions = {d.metadata["Name"].lower().replace("_", "-"): d.version for d in distributions()}
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = [Requirement(line.rstrip("\\ ")) for line in lines if line[:1].isalnum()]
    return all(
        versions.get(r.name) in r.specifier
        for r in wanted
        if r.marker is None or r.marker.evaluate()
    )


@pytest.fixture
def installed(checkout: Path, newcomer: dict[str, str]) -> Path:
    """The checkout after ``make venv``."""
    if not is_locked():
        pytest.skip("make would install other versions than those here")
    lend_libraries(checkout)
    status, said = make(checkout, newcomer, "venv")
    assert status == 0, said
    return checkout


@pytest.fixture
def read_only(installed: Path) -> Iterator[list[str]]:
    """The beginning of a command that sees the installed checkout, and may not write there.

    Root may write whatever a file's mode says: for root the folder is mounted read-only,
    where only the command sees that.
    """
    if os.geteuid() == 0:
        script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && cd "$0" && exec "$@"'
        prefix = ["unshare", "--mount", "sh", "-c", script, str(installed)]
        if shutil.which("unshare") is None or subprocess.run([*prefix, "true"]).returncode != 0:
            pytest.skip("root cannot mount a folder read-only here")
        yield prefix
        return
    folders = [installed, *(path for path in installed.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    yield ["sh", "-c", 'cd "$0" && exec "$@"', str(installed)]
    for folder in folders:
        folder.chmod(0o755)


@pytest.mark.stress
def test_the_two_commands_of_the_readme_work(installed: Path, newcomer: dict[str, str]) -> None:
    status, said = make(installed, newcomer, "book")
    assert status == 0 and "WARNING" not in said, said
    assert "The book is built. Open _build/html/index.html in a browser" in said
    assert (installed / "_build" / "html" / "index.html").is_file()

    # All tests would take as long as make test itself.
    status, said = make(installed, newcomer | {"PYTEST_ADDOPTS": SMALL}, "test")
    assert status == 0, said
    assert "Notebooks ran on the stand-in" in said
    assert " passed" in said and " failed" not in said


@pytest.mark.stress
def test_two_checkouts_give_the_same_zip_on_two_days(
    installed: Path, newcomer: dict[str, str], tmp_path: Path
) -> None:
    other = tmp_path / "elsewhere"
    shutil.copytree(installed, other, symlinks=True)
    zips = []
    # It is never the same day in these two places.
    for folder, place in ((installed, "Etc/GMT+12"), (other, "Pacific/Kiritimati")):
        status, said = make(folder, newcomer | {"TZ": place}, "zip")
        assert status == 0, said
        zips.append(folder / "_build" / "book.zip")
    assert filecmp.cmp(*zips, shallow=False)


@pytest.mark.stress
def test_a_folder_that_cannot_be_written_to_is_tested_and_not_built(
    read_only: list[str], newcomer: dict[str, str]
) -> None:
    def run(*command: str) -> tuple[int, str]:
        result = subprocess.run(
            [*read_only, *command], env=newcomer, capture_output=True, text=True, encoding="utf-8"
        )
        return result.returncode, result.stdout + result.stderr

    status, said = run("make", "book")
    assert status != 0 and "This folder cannot be written to. Copy it to one of your" in said
    status, said = run("env", f"PYTEST_ADDOPTS={SMALL}", "make", "test")
    assert status == 0, said


@pytest.mark.parametrize("command", ["book", "test"])
def test_a_python_that_will_not_do_is_named(
    command: str, checkout: Path, newcomer: dict[str, str], tmp_path: Path
) -> None:
    old = tmp_path / "old python"
    old.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -c "raise SystemExit(1)"\n', "utf-8")
    old.chmod(0o755)
    status, said = make(checkout, newcomer, command, "PYTHON=../old python")
    assert status != 0
    assert "The book needs Python 3.11, 3.12 or 3.13" in said
    assert f"make {command} PYTHON=python3.12" in said
    status, said = make(checkout, newcomer, command, "PYTHON=no-such-python")
    assert status != 0
    assert '"no-such-python" is none of them' in said
    assert not (checkout / ".venv").exists()


def test_without_internet_the_install_says_where_to_read_on(
    checkout: Path, newcomer: dict[str, str]
) -> None:
    status, said = make(checkout, newcomer, "book")
    assert status != 0
    assert 'book/how-to-run.md says under "Without internet"' in said
    assert not (checkout / ".venv" / "installed-requirements.txt").exists()
    page = (checkout / "book" / "how-to-run.md").read_text(encoding="utf-8")
    assert "\n## Without internet\n" in page


def test_the_help_can_be_read_in_any_locale(checkout: Path, newcomer: dict[str, str]) -> None:
    status, said = make(checkout, newcomer)
    assert status == 0
    assert "make book " in said and "make test " in said


def test_a_checkout_of_windows_has_the_same_bytes(tmp_path: Path) -> None:
    """Hashes and stored outputs are compared: no line may end in another way there."""
    copy = tmp_path / "copy"
    options = ["-c", "core.autocrlf=true", "-c", "core.eol=crlf"]
    names = tracked(ROOT)
    subprocess.run(["git", "init", "--quiet", copy], check=True)
    git = ["git", *options, "--work-tree", ROOT, "--git-dir", copy / ".git"]
    subprocess.run([*git, "add", "--", *names], cwd=ROOT, check=True, capture_output=True)
    subprocess.run(["git", *options, "checkout-index", "--all", "--force"], cwd=copy, check=True)
    for name in names:
        assert (copy / name).read_bytes() == (ROOT / name).read_bytes(), name
