"""The package as others get it: the lock, the wheel, and what an installation replaces."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version
from site_wheel import build_wheel

import mnist_helpers

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK = (ROOT / "requirements.txt").read_text(encoding="utf-8")
# What Colab brings, and what a class may have had installed for a while.
COLAB = {
    "anywidget": "0.9.21",
    "ipython": "7.34.0",
    "ipywidgets": "7.7.1",
    "keras": "3.8.0",
    "matplotlib": "3.10.0",
    "numpy": "2.0.2",
    "pillow": "11.3.0",
    "platformdirs": "4.3.8",
    "requests": "2.32.4",
    "scikit-learn": "1.6.1",
    "scipy": "1.15.3",
    "tensorboard": "2.19.0",
    "tensorflow": "2.19.0",
}

# What of the site's scripts and styles is written in this repository.
OWN_FILES = {
    "book/static/book.css",
    "book/static/book.js",
    "book/static/lab/core.js",
    "book/static/lab/lab.css",
    "book/static/lab/lab.js",
    "book/static/lab/landing.css",
    "book/static/lab/landing.js",
    "book/static/lab/network.wasm",
    "book/static/lab/photo.js",
    "book/static/lab/worker.js",
    "book/static/lab/worker.local.js",
    "book/static/scheme.js",
    "book/static/scripts/fontawesome.js",
    "book/static/terms.css",
    "book/static/terms.js",
    "mnist_helpers/pad/pad.css",
    "mnist_helpers/pad/pad.js",
    "mnist_helpers/static/answers.css",
    "mnist_helpers/static/answers.js",
    "mnist_helpers/static/widgets.css",
    "mnist_helpers/static/widgets.js",
}


def run(*command: str | Path, cwd: Path) -> str:
    """Run a program that must succeed; return what it printed."""
    # Without what a developer set, which would go before what is installed.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    result = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, encoding="utf-8"
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def python_of(environment: Path) -> Path:
    windows = sys.platform == "win32"
    return environment / ("Scripts/python.exe" if windows else "bin/python")


def site_packages_of(environment: Path) -> Path:
    scheme = "nt_venv" if sys.platform == "win32" else "posix_venv"
    base = {"base": str(environment), "platbase": str(environment)}
    return Path(sysconfig.get_path("purelib", scheme, base))


def new_environment(folder: Path) -> Path:
    """An empty virtual environment, without even pip."""
    venv.create(folder, symlinks=sys.platform != "win32")
    return folder


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that the site carries."""
    return build_wheel(ROOT, tmp_path_factory.mktemp("wheel"))


def locked_versions() -> dict[str, Version]:
    pairs = re.findall(r"^([a-z0-9-]+)==([^\s;\\]+)", LOCK, re.MULTILINE)
    return {name: Version(version) for name, version in pairs}


def test_the_lock_meets_every_requirement_of_the_project() -> None:
    locked = locked_versions()
    extras = PROJECT["optional-dependencies"]
    for text in [*PROJECT["dependencies"], *extras["book"], *extras["dev"]]:
        requirement = Requirement(text)
        assert locked[requirement.name] in requirement.specifier, text


def test_the_lock_is_hashed_and_names_no_host() -> None:
    entries = [entry for entry in re.split(r"^(?=[a-z0-9])", LOCK, flags=re.MULTILINE) if entry]
    assert len(entries) == len(locked_versions())
    for entry in entries:
        assert "--hash=sha256:" in entry, entry
    assert not re.search(r"://|--(extra-)?index|--find-links|\bfile:|@", LOCK)


def test_one_version_is_written_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert PROJECT["version"] == mnist_helpers.__version__ == citation["version"]


def test_the_wheel_holds_the_package_with_its_weights_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    sources = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "mnist_helpers").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == sources
    weights = {Path(name).stem for name in names if name.endswith(".npz")}
    assert weights == {"0", "1", "100", "1000", "10000"}


# They use all that the wheel holds beside the code: weights, a widget, tables of long runs.
CHAPTERS = ("flatten.ipynb", "benchmarks.ipynb")


def test_chapters_run_with_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    """Outside a checkout, as on Colab; everything but the helpers is there already."""
    environment = new_environment(tmp_path / "environment")
    packages = site_packages_of(environment)
    # The libraries of the environment that runs the tests, but not its editable install:
    # files ending in .pth are not read in a folder that one of them adds.
    libraries = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "libraries.pth").write_text("\n".join(sorted(libraries)), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet"]
    run(*pip, "--target", packages, wheel, cwd=tmp_path)

    work = tmp_path / "work"
    work.mkdir()
    for chapter in CHAPTERS:
        shutil.copy(ROOT / "notebooks" / chapter, work)
    python = python_of(environment)
    found = run(python, "-c", "import mnist_helpers; print(mnist_helpers.__file__)", cwd=work)
    assert Path(found.strip()).is_relative_to(packages)

    options = ["-q", "-c", work / "none.ini", "--rootdir", work, "-p", "no:cacheprovider"]
    (work / "none.ini").write_text("[pytest]\n", encoding="utf-8")
    # --nbval-lax compares what depends on no data; tests/ compares all of it elsewhere.
    nbval = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=1800"]
    run(python, "-m", "pytest", *options, *nbval, *CHAPTERS, cwd=work)


def describe_colab(packages: Path) -> None:
    """Say that Colab's versions are installed; what pip reads of a distribution is this."""
    for name, version in COLAB.items():
        info = packages / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (info / "METADATA").write_text(metadata, encoding="utf-8")
        (info / "INSTALLER").write_text("pip\n", encoding="utf-8")
        (info / "RECORD").write_text("", encoding="utf-8")


def describe_this_environment(packages: Path) -> None:
    """Say what is installed here, TensorFlow with all that it asks for, but the helpers."""
    for info in Path(sysconfig.get_path("purelib")).glob("*.dist-info"):
        if not info.name.startswith("mnist_helpers-"):
            shutil.copytree(info, packages / info.name)


@pytest.mark.parametrize("describe", [describe_colab, describe_this_environment])
def test_installing_the_helpers_replaces_nothing(
    describe: Callable[[Path], None], wheel: Path, tmp_path: Path
) -> None:
    environment = new_environment(tmp_path / "environment")
    describe(site_packages_of(environment))
    pip = [sys.executable, "-m", "pip", "--python", python_of(environment)]
    listed = json.loads(run(*pip, "list", "--format=json", cwd=tmp_path))
    assert {"tensorflow", "numpy"} <= {entry["name"] for entry in listed}
    # Without an index: anything that pip wanted to fetch would be an error.
    dry_run = ["--dry-run", "--no-index", "--quiet", "--report", "-"]
    report = json.loads(run(*pip, "install", *dry_run, wheel, cwd=tmp_path))
    installed = [entry["metadata"]["name"] for entry in report["install"]]
    assert installed == ["mnist-helpers"]


def test_files_of_others_are_listed_and_are_those_that_were_published() -> None:
    listed = tomllib.loads((ROOT / "vendored.toml").read_text(encoding="utf-8"))
    for folder, about in listed.items():
        found = {
            path.relative_to(ROOT / folder).as_posix(): hashlib.sha256(path.read_bytes())
            for path in (ROOT / folder).rglob("*")
            if path.is_file()
        }
        assert {name: digest.hexdigest() for name, digest in found.items()} == about["files"]
        assert "LICENSE" in found
        assert about["package"] and about["registry"] == "npm" and about["taken"]
        assert Version(about["version"])
        assert about["licence"] in {"Apache-2.0", "MPL-2.0", "OFL-1.1"}
        assert re.fullmatch("[0-9a-f]{64}", about["archive_sha256"])
    folders = [path for top in ("book/static", "tests") for path in ROOT.glob(f"{top}/vendor/*")]
    assert {path.relative_to(ROOT).as_posix() for path in folders if path.is_dir()} == set(listed)


def test_no_file_of_others_lies_elsewhere() -> None:
    """Scripts, styles, fonts and programs that the site serves: the book's own, by name."""
    suffixes = {".css", ".js", ".mjs", ".otf", ".ttf", ".wasm", ".woff", ".woff2"}
    served = {
        path.relative_to(ROOT).as_posix()
        for top in ("book", "mnist_helpers", "tests")
        for path in (ROOT / top).rglob("*")
        if path.suffix in suffixes and "vendor" not in path.parts
    }
    assert served == OWN_FILES


def test_workflows_pin_their_actions_and_name_their_rights() -> None:
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert workflows
    for path in workflows:
        text = path.read_text(encoding="utf-8")
        workflow = yaml.safe_load(text)
        assert workflow["permissions"] == {}
        for name, job in workflow["jobs"].items():
            publishing = {"pages": "write", "id-token": "write"}
            assert job["permissions"] in ({"contents": "read"}, publishing), name
            assert (job["permissions"] == publishing) == (name == "publish"), name
            assert job["timeout-minutes"] <= 60, name
            for step in job["steps"]:
                if "checkout" in step.get("uses", ""):
                    assert step["with"]["persist-credentials"] is False, name
                # What others may choose, such as a branch's name, never gets into a command.
                assert "${{" not in step.get("run", ""), name
        uses = re.findall(r"uses: (.+)$", text, re.MULTILINE)
        assert uses
        for use in uses:
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use), use
