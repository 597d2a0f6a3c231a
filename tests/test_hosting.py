"""The site on other hosts: their settings, any path, and a zip on any file server."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect
from site_pages import ROOT, Page, toc_files
from site_zip import pack

pytest_plugins = ["browser", "built_site"]

HOSTING = ROOT / "hosting"


Directive = tuple[list[str], list[Any]]


def read_nginx() -> list[Directive]:
    """What the one server of nginx's settings says: each directive's words, and what it holds."""
    text = (HOSTING / "nginx.conf").read_text("utf-8")
    words = shlex.shlex(text, posix=True, punctuation_chars="{};")
    words.whitespace_split = True
    levels: list[list[Directive]] = [[]]
    directive: list[str] = []
    for word in words:
        if word == "}":
            levels.pop()
        elif word in {";", "{"}:
            levels[-1].append((directive, []))
            directive = []
            if word == "{":
                levels.append(levels[-1][-1][1])
        else:
            directive.append(word)
    (server,) = levels[0]
    assert server[0] == ["server"]
    return server[1]


def read_headers() -> dict[str, dict[str, str]]:
    """The headers of each path, as Netlify and Cloudflare read them."""
    told: dict[str, dict[str, str]] = {}
    for line in (HOSTING / "_headers").read_text("utf-8").splitlines():
        if line.startswith("/"):
            headers = told.setdefault(line, {})
        elif not line.startswith("#"):
            name, _, value = line.partition(":")
            headers[name.strip()] = value.strip()
    return told


def test_both_hosts_are_told_the_same() -> None:
    told, server = read_headers(), read_nginx()
    headers = {words[1]: words[2] for words, _ in server if words[0] == "add_header"}
    assert told.pop("/*") == headers
    assert headers["Content-Security-Policy"] == "frame-ancestors 'self'"
    assert (["gzip", "on"], []) in server
    kept = {words[1]: inside for words, inside in server if words[0] == "location"}
    # An `add_header` in a location would take the place of those of the server.
    assert list(kept.values()) == [[(["expires", "1d"], [])]] * len(told)
    assert told == {f"{path}*": {"Cache-Control": "public, max-age=86400"} for path in kept}


def test_the_paths_that_are_kept_exist_and_hold_no_page(site: Path) -> None:
    for words, _ in read_nginx():
        if words[0] == "location":
            folder = site / words[1].strip("/")
            assert any(folder.rglob("*"))
            assert not list(folder.rglob("*.html"))


def test_every_kind_of_file_has_a_type(site: Path) -> None:
    (types,) = (inside for words, inside in read_nginx() if words == ["types"])
    known = {suffix for words, _ in types for suffix in words[1:]}
    kinds = {path.suffix.lstrip(".") for path in site.rglob("*") if path.is_file()}
    # Sphinx's inventory and build mark, checkpoints and digits, the helpers' wheel, and the
    # theme's source maps.
    others = {"", "inv", "bin", "whl", "map", "po", "pot", "mo", "ttf", "scss", "gif"}
    assert kinds - known <= others


@pytest.fixture(scope="module")
def unpacked(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that a file server shows, with the book unpacked somewhere in it."""
    folder = tmp_path_factory.mktemp("served")
    archive = folder / "book.zip"
    pack(site, archive)
    shutil.unpack_archive(archive, folder / "some sub path" / "Das Buch (ä)")
    return folder


def test_the_zip_works_from_any_path(
    unpacked: Path, pages: list[Page], chromium: Any, serve: Any, watch: Callable[[Any], list[str]]
) -> None:
    address = f"{serve(unpacked)}/some%20sub%20path/Das%20Buch%20(%C3%A4)"
    page = chromium.new_page()
    problems = watch(page)

    page.goto(f"{address}/")
    # Until all is there: a page that is left early takes back what it still asks for.
    page.wait_for_url(f"**/{toc_files()[0]}.html", wait_until="networkidle")

    everything = {str(each): each for each in pages}
    chapter = next(
        name
        for name, each in everything.items()
        if each.article.select("figure.mnist-widget") and each.article.select(".math")
    )
    page.goto(f"{address}/{chapter}")
    page.locator("mjx-container").first.wait_for(state="attached")
    # The formulas ask for their fonts when they are set.
    page.evaluate("MathJax.startup.promise.then(() => document.fonts.ready).then(() => true)")
    assert page.locator("figure.mnist-widget img").first.evaluate("(i) => i.naturalWidth") > 0

    page.goto(f"{address}/search.html?q=pooling")
    expect(page.get_by_text("Search finished")).to_be_visible()
    # Each result asks for its page, and shows a piece of it.
    page.wait_for_function(
        """() => [...document.querySelectorAll("#search-results li")].every(
          (result) => result.querySelector("p.context, span"))"""
    )
    page.locator("#search-results li a").first.click()
    page.wait_for_load_state("networkidle")
    assert page.url.startswith(address) and "search.html" not in page.url

    page.goto(f"{address}/book/lab.html")
    page.locator("html[data-lab]").wait_for(state="attached", timeout=120_000)
    assert page.locator("html").get_attribute("data-lab") == "wasm-simd"
    page.close()
    assert problems == []


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, by its path there."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_zip_holds_every_file_and_the_same_bytes_whenever_it_is_made(
    site: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    # `copy` gives the files new dates and other permissions than `copy2` would.
    shutil.copytree(site, copy, copy_function=shutil.copy)
    next(copy.rglob("*.html")).chmod(0o600)
    zips = [tmp_path / "one.zip", tmp_path / "two.zip"]
    for folder, target in zip((site, copy), zips, strict=True):
        pack(folder, target)
    assert zips[0].read_bytes() == zips[1].read_bytes()

    shutil.unpack_archive(zips[0], tmp_path / "unpacked")
    assert content(tmp_path / "unpacked") == content(site)


def test_a_folder_without_a_site_gives_no_zip(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="run make book first"):
        pack(tmp_path, tmp_path / "book.zip")
    assert list(tmp_path.iterdir()) == []
