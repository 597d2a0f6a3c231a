"""The site on other hosts: their settings, any path, and a zip on any file server."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect
from site_pages import ROOT, Page, toc_files

pytest_plugins = ["browser", "built_site"]

HOSTING = ROOT / "hosting"


def test_both_hosts_are_told_the_same() -> None:
    sections = re.split(r"^(?=/)", (HOSTING / "_headers").read_text(encoding="utf-8"), flags=re.M)
    told = {
        path: dict(re.findall(r"^  ([\w-]+): (.+)$", section, re.M))
        for section in sections[1:]
        for path in [section.splitlines()[0]]
    }
    nginx = (HOSTING / "nginx.conf").read_text(encoding="utf-8")
    assert told["/*"] == dict(re.findall(r'add_header ([\w-]+) "(.+)" always;', nginx))
    assert told["/*"]["Content-Security-Policy"] == "frame-ancestors 'self'"
    assert re.search(r"^    gzip on;$", nginx, re.M)
    kept = {path for path, headers in told.items() if "Cache-Control" in headers}
    assert kept == {f"{path}*" for path in re.findall(r"location (\S+) \{\s+expires 1d;", nginx)}
    # A host joins what several sections say of one header.
    assert "Cache-Control" not in told["/*"]
    for path in kept:
        assert told[path] == {"Cache-Control": "public, max-age=86400"}


def test_the_paths_that_are_kept_exist_and_hold_no_page(site: Path) -> None:
    nginx = (HOSTING / "nginx.conf").read_text(encoding="utf-8")
    for path in re.findall(r"location /(\S+) \{", nginx):
        assert any((site / path).rglob("*"))
        assert not list((site / path).rglob("*.html"))


def test_every_kind_of_file_has_a_type(site: Path) -> None:
    (types,) = re.findall(r"types \{([^}]*)\}", (HOSTING / "nginx.conf").read_text("utf-8"))
    known = {suffix for line in types.split(";") for suffix in line.split()[1:]}
    kinds = {path.suffix.lstrip(".") for path in site.rglob("*") if path.is_file()}
    # Sphinx's inventory and build mark, checkpoints and digits, and the theme's source maps.
    assert kinds - known <= {"", "inv", "bin", "map", "po", "pot", "mo", "ttf", "scss", "gif"}


@pytest.fixture(scope="module")
def unpacked(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that a file server shows, with the book unpacked somewhere in it."""
    folder = tmp_path_factory.mktemp("served")
    archive = shutil.make_archive(str(folder / "book"), "zip", site)
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
