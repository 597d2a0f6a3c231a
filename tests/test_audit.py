"""The audit of the lock: complete for every platform, and it bites."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import audit
import pytest
from audit import PLATFORMS, UnreachableError, environments, judge_answers, platforms, read_lock
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
LOCK = (ROOT / "requirements.txt").read_text(encoding="utf-8")
A, B = "a" * 64, "b" * 64


def entry(line: str, *sums: str) -> str:
    """An entry of a lock."""
    return line + "".join(f" \\\n    --hash=sha256:{digest}" for digest in sums) + "\n    # via x\n"


@pytest.mark.parametrize("where", [name for name, _, _ in environments()])
def test_the_lock_pins_and_hashes_all_that_a_platform_needs(where: str) -> None:
    """From the project's own requirements on, by what the installed packages ask for."""
    lock = read_lock(LOCK)
    (environment,) = [says for name, says, _ in environments() if name == where]
    waiting = [("mnist-helpers", "book"), ("mnist-helpers", "dev"), ("mnist-helpers", "")]
    done: set[tuple[str, str]] = set()
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in done:
            continue
        done.add((name, extra))
        if name != "mnist-helpers":
            assert name in lock, name
            version, marker, sums = lock[name]
            assert Version(version)
            assert sums, name
            assert marker is None or marker.evaluate(environment), name
        try:
            wanted = requires(name) or []
        except PackageNotFoundError:
            # Another system's package.
            continue
        for requirement in map(Requirement, wanted):
            if requirement.marker is None or requirement.marker.evaluate(
                environment | {"extra": extra}
            ):
                needed = canonicalize_name(requirement.name)
                waiting += [(needed, each) for each in ("", *requirement.extras)]
    assert {"tensorflow", "sphinx", "pytest"} <= {name for name, _ in done}, "it went all the way"


def test_the_supported_platforms_are_those_that_readers_are_told() -> None:
    page = (ROOT / "book" / "how-to-run.md").read_text(encoding="utf-8")
    for name in PLATFORMS:
        assert f"| {name} |" in page, name


def test_a_lock_is_read_whole() -> None:
    text = entry("some-package==1.2", A, B) + entry("Other==3 ; sys_platform == 'win32'", A)
    lock = read_lock("# A comment.\n" + text)
    assert lock["some-package"] == ("1.2", None, {A, B})
    version, marker, sums = lock["other"]
    assert (version, str(marker), sums) == ("3", 'sys_platform == "win32"', {A})


@pytest.mark.parametrize("line", ["package>=1", "package==1.*", "package", "./package", "-e ."])
def test_what_is_not_pinned_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not one version"):
        read_lock(entry(line, A))


def test_a_package_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        read_lock(entry("a-b==1", A) + entry("a_b==2", A))


@pytest.mark.parametrize(
    ("wheels", "lacking"),
    [
        ({"pure-1-py3-none-any.whl": A}, 0),
        ({"pure-1-py3-none-any.whl": B}, 12),
        ({}, 12),
        ({"pure-1-cp312-cp312-win_amd64.whl": A}, 11),
        ({"pure-1-cp311-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl": A}, 9),
        ({"pure-1-cp311-abi3-manylinux_2_40_x86_64.whl": A}, 12),
        ({"pure-1-cp39-abi3-macosx_11_0_arm64.whl": A}, 9),
        ({"pure-1-cp39-abi3-macosx_10_9_x86_64.whl": A}, 12),
    ],
)
def test_a_platform_without_a_hashed_wheel_is_found(wheels: dict[str, str], lacking: int) -> None:
    found = platforms(entry("pure==1", A), {"pure": wheels})
    assert len(found) == lacking
    assert all(line.startswith("pure 1: no wheel with a hash in the lock for ") for line in found)


def test_a_package_is_looked_for_only_where_it_is_needed() -> None:
    text = entry("pure==1 ; sys_platform == 'darwin' and python_full_version < '3.12'", A)
    assert platforms(text, {"pure": {}}) == [
        "pure 1: no wheel with a hash in the lock for macOS 12, Apple chip, Python 3.11"
    ]


def test_every_installed_package_has_an_allowed_licence() -> None:
    assert audit.licences() == []


def test_a_licence_that_is_not_allowed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "ALLOWED", tuple(set(audit.ALLOWED) - {"PSF-2.0"}))
    (line,) = audit.licences()
    assert "PSF-2.0 not in allow-only licenses" in line and "typing_extensions" in line


def answer(name: str, *vulns: str) -> dict[str, object]:
    found = [{"id": each, "aliases": ["CVE-" + each], "fix_versions": ["2"]} for each in vulns]
    return {"name": name, "version": "1", "vulns": found}


NOT_FOUND = {"name": "lost", "skip_reason": "not found"}


def test_a_known_vulnerability_is_a_problem_unless_it_was_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = [answer("sound"), answer("weak", "A-1", "A-2")]
    assert judge_answers(answers) == ["weak 1: A-1, mended in 2", "weak 1: A-2, mended in 2"]
    monkeypatch.setitem(audit.ACCEPTED, "CVE-A-1", "not used that way")
    assert judge_answers(answers) == ["weak 1: A-2, mended in 2"]


def test_no_answer_is_not_a_pass() -> None:
    assert judge_answers([answer("sound"), NOT_FOUND]) == ["lost: not found"]
    with pytest.raises(UnreachableError):
        judge_answers([NOT_FOUND, NOT_FOUND])


def test_an_index_that_cannot_be_reached_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("UV_OFFLINE", raising=False)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_INDEX", "")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("REQUIRE_AUDIT", raising=False)
    with pytest.raises(UnreachableError):
        audit.published(entry("absl-py==2.5.1", A))
    assert audit.main() == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(",")[0] for line in said if "SKIPPED" in line] == [
        "Advisories: SKIPPED",
        "Platforms: SKIPPED",
    ]
    monkeypatch.setenv("REQUIRE_AUDIT", "1")
    assert audit.main() == 1
