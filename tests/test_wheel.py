"""The wheel alone is enough to run a notebook, and installing it replaces nothing big."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from address import ROOT
from packaging.requirements import Requirement

# A short chapter that loads the data and one of the checkpoints.
CHAPTER = "flatten"


def run(command: list[str], cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command that must not find the checkout by itself."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        command, cwd=cwd, env=environment | variables, capture_output=True, text=True, timeout=300
    )


def pip(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run this environment's pip on another environment."""
    command = [sys.executable, "-m", "pip", "--python", str(python), "--isolated"]
    return run([*command, "--disable-pip-version-check", *arguments], cwd=python.parent)


def new_environment(folder: Path) -> tuple[Path, Path]:
    """An empty virtual environment: its Python, and the folder of its packages."""
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    paths = sysconfig.get_paths("venv", vars={"base": str(folder), "platbase": str(folder)})
    suffix = ".exe" if os.name == "nt" else ""
    return Path(paths["scripts"]) / f"python{suffix}", Path(paths["purelib"])


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without network from a copy, so that the checkout stays clean."""
    source = tmp_path_factory.mktemp("source")
    for path in [ROOT / "pyproject.toml", *ROOT.glob("LICENSE*"), *ROOT.glob("README.md")]:
        shutil.copy(path, source)
    leave_out = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "mnist_helpers", source / "mnist_helpers", ignore=leave_out)
    built = tmp_path_factory.mktemp("built")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--wheel-dir", str(built), str(source)]
    result = run(command, cwd=source)
    assert result.returncode == 0, result.stderr
    (path,) = built.glob("*.whl")
    return path


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    package = ROOT / "mnist_helpers"
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in package.rglob("*")
        if path.suffix in {".py", ".npz", ".typed"}
    }
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == expected
    assert {"mnist_helpers/py.typed", "mnist_helpers/checkpoints/10000.npz"} <= names


def test_a_notebook_runs_with_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    """Outside the checkout, in an environment where the package comes from the wheel."""
    python, packages = new_environment(tmp_path / "environment")
    result = pip(python, "install", "--no-deps", "--no-index", str(wheel))
    assert result.returncode == 0, result.stderr
    # The dependencies are those of this environment. A path in a .pth file is taken as it
    # is: the .pth file that leads to the checkout, in that folder, is not read.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"), "utf-8")

    folder = tmp_path / "reader"
    folder.mkdir()
    shutil.copy(ROOT / "notebooks" / f"{CHAPTER}.ipynb", folder)
    where = run([str(python), "-c", "import mnist_helpers; print(mnist_helpers.__file__)"], folder)
    assert where.stdout.strip() == str(packages / "mnist_helpers" / "__init__.py")

    command = [str(python), "-m", "pytest", "-c", os.devnull, "--rootdir", str(folder)]
    command += ["-p", "no:cacheprovider", "-p", "no:xdist", "--color=no"]
    command += ["--nbval-lax", "--nbval-current-env", str(folder)]
    result = run(command, folder)
    assert result.returncode == 0, result.stdout + result.stderr
    assert " passed" in result.stdout and "failed" not in result.stdout


def describe(packages: Path, name: str, version: str) -> None:
    """Make pip believe that a distribution is installed: it reads this and no more."""
    folder = packages / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(parents=True)
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    (folder / "METADATA").write_text(text, "utf-8")
    (folder / "INSTALLER").write_text("pip\n", "utf-8")
    (folder / "RECORD").write_text("", "utf-8")


def requirements_of(wheel: Path) -> list[Requirement]:
    """What the wheel always asks for."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode("utf-8"))
    found = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    return [requirement for requirement in found if requirement.marker is None]


def test_the_wheel_asks_for_tensorflow_with_a_loose_bound(wheel: Path) -> None:
    requirements = {requirement.name: requirement for requirement in requirements_of(wheel)}
    assert {"tensorflow", "numpy"} <= set(requirements)
    assert "tensorflow-cpu" not in requirements
    for requirement in requirements.values():
        (bound,) = requirement.specifier
        assert bound.operator == ">=", f"{requirement} may replace what is installed"


@pytest.mark.parametrize("versions", ["newest", "oldest"])
def test_installing_the_wheel_replaces_neither_tensorflow_nor_numpy(
    versions: str, wheel: Path, tmp_path: Path
) -> None:
    """pip says so, for an environment that has both and lacks pooch, as Colab may.

    pip judges by what installed distributions say of themselves. The newest ones are
    described by their own files, taken from this environment; the oldest are those that
    the wheel's bounds name.
    """
    python, packages = new_environment(tmp_path / "environment")
    if versions == "newest":
        for folder in Path(sysconfig.get_path("purelib")).glob("*.dist-info"):
            if not folder.name.startswith(("mnist_helpers-", "pooch-")):
                shutil.copytree(folder, packages / folder.name)
    else:
        for requirement in requirements_of(wheel):
            (bound,) = requirement.specifier
            if requirement.name != "pooch":
                describe(packages, requirement.name, bound.version)
        describe(packages, "packaging", "24.2")
        describe(packages, "requests", "2.32.3")
    listed = json.loads(pip(python, "list", "--format=json").stdout)
    assert {"tensorflow", "numpy"} <= {entry["name"] for entry in listed}

    if pip(python, "index", "versions", "pooch", "--retries=0", "--timeout=10").returncode:
        pytest.skip("the package index cannot be reached")
    report = tmp_path / "report.json"
    result = pip(python, "install", "--dry-run", "--report", str(report), str(wheel))
    assert result.returncode == 0, result.stderr
    installed = json.loads(report.read_text("utf-8"))["install"]
    names = {entry["metadata"]["name"].lower().replace("_", "-") for entry in installed}
    assert names == {"mnist-helpers", "pooch"}
