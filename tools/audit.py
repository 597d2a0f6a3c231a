"""Audit what the lock installs: known vulnerabilities, licences, and every platform.

    make audit

- *Advisories*: pip-audit asks for the known vulnerabilities of every package in the lock, those
  for other systems included.
- *Licences*: pip-licenses reads what each installed package says of itself; it must be among
  `ALLOWED`, or the package among `EXCEPTIONS`.
- *Platforms*: on every system in `PLATFORMS`, with every version in `PYTHONS`, uv finds all that
  an installation needs in the lock, with a hash, and all of it published as wheels.

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
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.txt"
PIP_AUDIT = "pip-audit==2.10.1"
PYTHONS = ("3.11", "3.12", "3.13")
PLATFORMS = {
    "Linux, x86-64": "x86_64-manylinux_2_28",
    "Linux, ARM": "aarch64-manylinux_2_28",
    "Mac, Apple chip": "aarch64-apple-darwin",
    "Windows, x86-64": "x86_64-pc-windows-msvc",
}
"""What readers are told, and uv's name for it: a Linux as old as Debian 10 or RHEL 8."""

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
    "codespell",  # GPL-2.0-only; maintainers run it, and none of it is passed on
    "docutils",  # public domain, but for files under other licences that the site does not use
    "namex",  # says nothing in its metadata; the licence that comes with it is Apache-2.0
)
"""Packages whose licence a person has read."""


class UnreachableError(RuntimeError):
    """A source gave no answer, so that nothing was checked."""


def _uv(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run uv; where it says that a host could not be reached, that is an UnreachableError."""
    command = [Path(sysconfig.get_path("scripts"), "uv"), *arguments]
    # The oldest macOS that readers are told of; uv would take a newer one.
    environment = os.environ | {"MACOSX_DEPLOYMENT_TARGET": "12.0"}
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, encoding="utf-8"
    )
    words = r"Could not connect|Failed to fetch|error sending request|Max retries|dns error"
    if result.returncode and not result.stdout and re.search(words, result.stderr):
        raise UnreachableError(result.stderr.strip().splitlines()[-1].strip())
    return result


def advisories(lock: Path) -> list[str]:
    """Look for known vulnerabilities of what a lock names: a line for each.

    Raises:
        UnreachableError: There was no answer for any package.
        RuntimeError: pip-audit failed for another reason.
    """
    with tempfile.TemporaryDirectory() as folder:
        # Without markers, so that other systems' packages are looked up too.
        listed = Path(folder) / "requirements.txt"
        listed.write_text(re.sub(r" ;[^\\\n]*", "", lock.read_text("utf-8")), "utf-8")
        options = ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
        result = _uv("tool", "run", PIP_AUDIT, "-r", listed, *options)
    try:
        answers = json.loads(result.stdout)["dependencies"]
    except ValueError:
        raise RuntimeError(f"pip-audit failed: {result.stderr.strip()}") from None
    return judge_answers(answers)


def judge_answers(answers: list[dict[str, Any]]) -> list[str]:
    """Turn pip-audit's answers into one line for each problem."""
    missing = [answer for answer in answers if "skip_reason" in answer]
    if len(missing) == len(answers):
        raise UnreachableError("the source of advisories knows none of the packages")
    problems = [f"{answer['name']}: {answer['skip_reason']}" for answer in missing]
    for answer in answers:
        for found in answer.get("vulns", []):
            if not {found["id"], *found["aliases"]} & ACCEPTED.keys():
                mended = ", ".join(found["fix_versions"]) or "no version yet"
                problems.append(
                    f"{answer['name']} {answer['version']}: {found['id']}, fixed in {mended}"
                )
    return problems


def licences() -> list[str]:
    """Ask pip-licenses for an installed package whose licence is not allowed: a line, or none."""
    options = ["--allow-only", ";".join(ALLOWED), "--ignore-packages", *EXCEPTIONS]
    command = [sys.executable, "-m", "piplicenses", *options]
    result = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    return [result.stderr.strip()] if result.returncode else []


def platforms(lock: Path) -> list[str]:
    """A line for each platform and version of Python on which uv would not install a lock."""
    problems = []
    for name, platform in PLATFORMS.items():
        for python in PYTHONS:
            with tempfile.TemporaryDirectory() as empty:
                options = ["--dry-run", "--require-hashes", "--only-binary", ":all:", "--quiet"]
                where = ["--python-platform", platform, "--python-version", python]
                result = _uv("pip", "install", *options, *where, "--target", empty, "-r", lock)
            if result.returncode:
                problems.append(f"{name}, Python {python}: {' '.join(result.stderr.split())}")
    return problems


def main(lock: Path = LOCK) -> int:
    """Run the three audits; return the exit status."""
    audits: dict[str, Callable[[], list[str]]] = {
        "Advisories": lambda: advisories(lock),
        "Licences": licences,
        "Platforms": lambda: platforms(lock),
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
        print(f"{name}: {len(problems) or 'no'} problems")
        failed += [f"{name}: {problem}" for problem in problems]
    print(*failed, *skipped, sep="\n")
    return int(bool(failed or (skipped and os.environ.get("REQUIRE_AUDIT"))))


if __name__ == "__main__":
    sys.exit(main())
