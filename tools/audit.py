"""Audit what the lock installs: known vulnerabilities, licences, and every platform.

    make audit

- *Advisories*: pip-audit asks for the known vulnerabilities of every package in the lock, those
  for other systems included.
- *Licences*: pip-licenses reads what each installed package says of itself; it must be among
  `ALLOWED`, or the package among `EXCEPTIONS`.
- *Platforms*: on every system in `PLATFORMS`, with every version in `PYTHONS`, each package that
  the lock asks for there is published as a wheel, and its hash is in the lock.

The first and the last ask the package index. Where it gives no answer, they are skipped, the
last lines say so, and with ``REQUIRE_AUDIT=1`` that is a failure.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from packaging import tags
from packaging.markers import Marker
from packaging.utils import canonicalize_name, parse_wheel_filename

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.txt"
PYTHONS = ("3.11", "3.12", "3.13")
PIP_AUDIT = "pip-audit==2.10.1"

ACCEPTED: dict[str, str] = {}
"""Advisories that do not concern the book: the identifier, and why not."""

ALLOWED = (
    # Use, change and pass on; name where it comes from.
    "0BSD", "3-Clause BSD License", "Apache-2.0", "Apache 2.0", "Apache License 2.0",
    "Apache License, Version 2.0", "Apache Software License", "BSD License", "BSD-2-Clause",
    "BSD-3-Clause", "ISC", "ISC License (ISCL)", "MIT", "MIT License", "MIT-0", "MIT-CMU",
    "PSF-2.0", "Python Software Foundation License",
    # Several of these at once, as a package puts it.
    "Apache-2.0 AND BSD-2-Clause", "Apache-2.0 OR BSD-2-Clause", "MIT AND PSF-2.0",
    "MIT OR Apache-2.0", "Apache-2.0 AND BSD-2-Clause AND BSD-3-Clause AND ISC AND MIT",
    "BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0",
    # Changes to its own files must be published too; the book changes none.
    "MPL-2.0", "Mozilla Public License 2.0 (MPL 2.0)",
)  # fmt: skip
"""What a package may say its licence is."""

EXCEPTIONS = (
    "codespell",  # GPL-2.0-only; maintainers run it, and nothing of it is passed on
    "docutils",  # public domain, but for files under other licences that the site does not use
    "namex",  # says nothing in its metadata; the licence that comes with it is Apache-2.0
)
"""Packages whose licence a person has read."""


class UnreachableError(RuntimeError):
    """A source gave no answer, so that nothing was checked."""


def read_lock(text: str) -> dict[str, tuple[str, Marker | None, frozenset[str]]]:
    """Read a lock as uv writes it.

    Returns:
        By the name of a package: its version, where it is needed (None: everywhere), and the
        SHA-256 sums of its files.

    Raises:
        ValueError: An entry is not pinned to one version.
    """
    packages: dict[str, tuple[str, Marker | None, frozenset[str]]] = {}
    for entry in re.split(r"^(?=[^\s#])", text, flags=re.MULTILINE):
        if not entry.strip() or entry.startswith("#"):
            continue
        match = re.match(r"([A-Za-z0-9._-]+)==([^\s;*]+)(?=[\s;])(?: *; *([^\\\n]+))?", entry)
        if match is None:
            raise ValueError(f"this is not one version of a package: {entry.splitlines()[0]}")
        name = canonicalize_name(match[1])
        if name in packages:
            raise ValueError(f"{name} is there twice")
        marker = Marker(match[3].strip()) if match[3] else None
        sums = re.findall(r"--hash=sha256:([0-9a-f]{64})(?=\s|$)", entry)
        packages[name] = (match[2], marker, frozenset(sums))
    return packages


def _manylinux(machine: str) -> list[str]:
    """The tags of a Linux with glibc 2.28, such as Debian 10 or RHEL 8, or newer."""
    return [f"manylinux_2_{minor}_{machine}" for minor in range(28, 4, -1)] + [
        f"manylinux{year}_{machine}" for year in ("2014", "2010", "1")
    ]


PLATFORMS: dict[str, tuple[dict[str, str], list[str]]] = {
    "Linux, x86-64": (
        {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"},
        _manylinux("x86_64"),
    ),
    "Linux, ARM": (
        {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "aarch64"},
        _manylinux("aarch64"),
    ),
    "macOS 12, Apple chip": (
        {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "arm64"},
        list(tags.mac_platforms((12, 0), "arm64")),
    ),
    "Windows, x86-64": (
        {"sys_platform": "win32", "platform_system": "Windows", "platform_machine": "AMD64"},
        ["win_amd64"],
    ),
}
"""By name: what markers say there, and which wheels fit."""


def environments() -> Iterator[tuple[str, dict[str, str], set[tags.Tag]]]:
    """Every supported system with every version of Python: name, environment, wheel tags."""
    for name, (says, platforms) in PLATFORMS.items():
        for python in PYTHONS:
            environment = {
                **says,
                "os_name": "nt" if says["sys_platform"] == "win32" else "posix",
                "python_version": python,
                "python_full_version": f"{python}.0",
                "implementation_version": f"{python}.0",
                "implementation_name": "cpython",
                "platform_python_implementation": "CPython",
            }
            version = [int(part) for part in python.split(".")]
            interpreter = "cp" + python.replace(".", "")
            fitting = {
                *tags.cpython_tags(version, abis=[interpreter], platforms=platforms),
                *tags.compatible_tags(version, interpreter=interpreter, platforms=platforms),
            }
            yield f"{name}, Python {python}", environment, fitting


def _uv(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run uv.

    Raises:
        UnreachableError: It says that a host could not be reached.
    """
    program = Path(sysconfig.get_path("scripts"), "uv")
    command = [program, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    words = r"Could not connect|Failed to fetch|error sending request|Max retries|dns error"
    if result.returncode and not result.stdout and re.search(words, result.stderr):
        raise UnreachableError(result.stderr.strip().splitlines()[-1].strip())
    return result


def advisories(text: str) -> list[str]:
    """Look for known vulnerabilities of what a lock names.

    Returns:
        One line for each.

    Raises:
        UnreachableError: There was no answer for any package.
        RuntimeError: pip-audit failed otherwise.
    """
    lock = read_lock(text)
    with tempfile.TemporaryDirectory() as folder:
        # Without markers, so that other systems' packages are looked up too.
        listed = Path(folder) / "requirements.txt"
        listed.write_text("".join(f"{n}=={v}\n" for n, (v, _, _) in lock.items()), "utf-8")
        options = ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
        result = _uv("tool", "run", PIP_AUDIT, "-r", listed, *options)
    try:
        answers = json.loads(result.stdout)["dependencies"]
    except ValueError:
        raise RuntimeError(f"pip-audit failed: {result.stderr.strip()}") from None
    return judge_answers(answers)


def judge_answers(answers: list[dict[str, Any]]) -> list[str]:
    """Turn pip-audit's answers into one line for each problem.

    Raises:
        UnreachableError: There was no answer for any package.
    """
    missing = [answer for answer in answers if "skip_reason" in answer]
    if len(missing) == len(answers):
        raise UnreachableError("the source of advisories knows none of the packages")
    problems = [f"{answer['name']}: {answer['skip_reason']}" for answer in missing]
    for answer in answers:
        for found in answer.get("vulns", []):
            if not {found["id"], *found["aliases"]} & ACCEPTED.keys():
                mended = ", ".join(found["fix_versions"]) or "no version yet"
                problems.append(
                    f"{answer['name']} {answer['version']}: {found['id']}, mended in {mended}"
                )
    return problems


def licences() -> list[str]:
    """Ask pip-licenses for an installed package whose licence is not allowed.

    Returns:
        One line for the first that it finds.
    """
    options = ["--allow-only", ";".join(ALLOWED), "--ignore-packages", *EXCEPTIONS]
    command = [sys.executable, "-m", "piplicenses", *options]
    result = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    return [result.stderr.strip()] if result.returncode else []


def published(text: str) -> dict[str, dict[str, str]]:
    """Ask the index for the wheels of everything that a lock names.

    Returns:
        By the name of a package: the SHA-256 of each wheel, by the wheel's file name.

    Raises:
        UnreachableError: The index gives no answer.
        RuntimeError: uv failed otherwise.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, answer = Path(folder, "requirements.txt"), Path(folder, "pylock.toml")
        source.write_text(text, "utf-8")
        options = ["--no-deps", "--universal", "--python-version", PYTHONS[0], "--quiet"]
        result = _uv(
            "pip", "compile", source, *options, "--format", "pylock.toml", "--output-file", answer
        )
        if result.returncode:
            raise RuntimeError(f"uv failed: {result.stderr.strip()}")
        packages = tomllib.loads(answer.read_text("utf-8"))["packages"]
    return {
        package["name"]: {
            wheel["url"].rpartition("/")[2]: wheel["hashes"]["sha256"]
            for wheel in package.get("wheels", [])
        }
        for package in packages
    }


def platforms(text: str, wheels: dict[str, dict[str, str]]) -> list[str]:
    """Look for packages that a platform needs and the lock does not give it.

    Args:
        text: The lock.
        wheels: What `published` returned.

    Returns:
        One line for each package and platform.
    """
    lock = read_lock(text)
    fits = {
        name: [(parse_wheel_filename(file)[3], digest) for file, digest in files.items()]
        for name, files in wheels.items()
    }
    problems = []
    for where, environment, fitting in environments():
        for name, (version, marker, sums) in lock.items():
            if marker is not None and not marker.evaluate(environment):
                continue
            if not any(
                digest in sums and not fitting.isdisjoint(tagged)
                for tagged, digest in fits.get(name, [])
            ):
                problems.append(f"{name} {version}: no wheel with a hash in the lock for {where}")
    return problems


def main() -> int:
    """Run the three audits; return the exit status."""
    text = LOCK.read_text(encoding="utf-8")
    audits: dict[str, Callable[[], list[str]]] = {
        "Advisories": lambda: advisories(text),
        "Licences": licences,
        "Platforms": lambda: platforms(text, published(text)),
    }
    failed, skipped = [], []
    for name, audit in audits.items():
        try:
            problems = audit()
        except UnreachableError as error:
            skipped.append(f"{name}: SKIPPED, nothing was checked: {error}")
            continue
        except RuntimeError as error:
            problems = [str(error)]
        print(f"{name}: {len(problems) or 'no'} problems in {len(read_lock(text))} packages")
        failed += [f"{name}: {problem}" for problem in problems]
    for line in failed + skipped:
        print(line)
    return int(bool(failed or (skipped and os.environ.get("REQUIRE_AUDIT"))))


if __name__ == "__main__":
    sys.exit(main())
