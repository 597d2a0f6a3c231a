"""The audit of the lock: it bites, and says what it could not ask."""

from __future__ import annotations

import re
from pathlib import Path

import audit
import pytest
from audit import PLATFORMS, UnreachableError, judge_answers, platforms

ROOT = Path(__file__).resolve().parent.parent
LOCK = (ROOT / "requirements.txt").read_text(encoding="utf-8")


def test_the_supported_platforms_are_those_that_readers_are_told() -> None:
    page = (ROOT / "book" / "how-to-run.md").read_text(encoding="utf-8")
    for name in PLATFORMS:
        assert f"| {name} |" in page, name


def test_what_the_lock_lacks_and_a_package_without_a_wheel_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a package that everybody needs left out, and one added that Windows cannot have."""
    monkeypatch.setattr(audit, "PYTHONS", ("3.12",))
    short, long = tmp_path / "short.txt", tmp_path / "long.txt"
    short.write_text(re.sub(r"^absl-py==(?:.+\\\n)+.+\n", "", LOCK, flags=re.M), "utf-8")
    long.write_text(f"{LOCK}uvloop==0.22.1 --hash=sha256:{'0' * 64}\n", "utf-8")
    try:
        lacking, unfit = platforms(short), platforms(long)
    except UnreachableError as error:
        pytest.skip(f"the index gives no answer: {error}")
    assert len(lacking) == len(PLATFORMS)
    assert all("absl-py" in line for line in lacking), lacking
    (problem,) = unfit
    assert problem.startswith("Windows") and "uvloop" in problem


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
    assert judge_answers(answers) == ["weak 1: A-1, fixed in 2", "weak 1: A-2, fixed in 2"]
    monkeypatch.setitem(audit.ACCEPTED, "CVE-A-1", "not used that way")
    assert judge_answers(answers) == ["weak 1: A-2, fixed in 2"]


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
    assert audit.main() == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(",")[0] for line in said if "SKIPPED" in line] == [
        "Advisories: SKIPPED",
        "Platforms: SKIPPED",
    ]
    monkeypatch.setenv("REQUIRE_AUDIT", "1")
    assert audit.main() == 1
