"""What a site with an address says of itself: and that one without says nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from address import set_address
from bs4 import BeautifulSoup
from page_address import CARD, CARD_ALT, CARD_SIZE, site_address, sitemap
from PIL import Image
from site_pages import ROOT, build
from test_site import SOUND, small_book

CARD_FILE = ROOT / "book" / "static" / Path(CARD).name
ADDRESS = "https://some-class.github.io/digits/"
SETTINGS = f'[project]\nname = "x"\n[project.urls]\nDocumentation = "{ADDRESS}"\n'
PAGES = ["book/chapter", "book/glossary", "book/index"]


def built(folder: Path, settings: str) -> Path:
    """A small book, built where `settings` are in pyproject.toml: the folder of its pages."""
    small_book(folder, SOUND)
    (folder / "pyproject.toml").write_text(settings, encoding="utf-8")
    (folder / "book" / "static" / "card.png").write_bytes(CARD_FILE.read_bytes())
    result = build(folder, folder)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder / "_build" / "html"


def read(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def properties(soup: BeautifulSoup) -> dict[str, str]:
    tags = soup.select("meta[property], meta[name^=twitter], meta[name=description]")
    found = [(str(tag.get("property") or tag["name"]), str(tag["content"])) for tag in tags]
    assert len(dict(found)) == len(found)
    return dict(found)


def test_a_site_with_an_address_says_what_it_is(tmp_path: Path) -> None:
    site = built(tmp_path, SETTINGS)
    namespace = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
    listed = ElementTree.parse(site / "sitemap.xml").getroot().iter(f"{namespace}loc")
    assert [place.text for place in listed] == [f"{ADDRESS}{page}.html" for page in PAGES]

    for page in [*PAGES, "index"]:
        soup = read(site / f"{page}.html")
        target = "book/index" if page == "index" else page
        (canonical,) = soup.select("link[rel=canonical]")
        assert canonical["href"] == f"{ADDRESS}{target}.html"
        found = properties(soup)
        assert found["og:url"] == f"{ADDRESS}{target}.html"
        assert found["og:title"]
        assert found["og:image"].startswith(ADDRESS)
        assert (site / found["og:image"].removeprefix(ADDRESS)).is_file()
        assert found["og:image:alt"] == CARD_ALT
        assert found["twitter:card"] == "summary_large_image"
        assert found["description"] == found["og:description"] != ""
    assert properties(read(site / "book/chapter.html"))["og:title"] == "Chapter"


def test_a_site_without_an_address_says_nothing(tmp_path: Path) -> None:
    site = built(tmp_path, '[project]\nname = "x"\n')
    assert not (site / "sitemap.xml").exists()
    for page in [*PAGES, "index"]:
        soup = read(site / f"{page}.html")
        assert soup.select("link[rel=canonical]") == []
        assert set(properties(soup)) == {"description"}


@pytest.mark.parametrize("given", [ADDRESS, ADDRESS.rstrip("/")])
def test_the_address_ends_with_a_slash(given: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(SETTINGS.replace(ADDRESS, given), encoding="utf-8")
    assert site_address(tmp_path) == ADDRESS
    assert site_address(tmp_path / "elsewhere") == ""


def test_the_site_takes_the_address_that_make_address_sets(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    set_address("https://github.com/Some-Class/digits", tmp_path)
    assert site_address(tmp_path) == ADDRESS
    set_address(None, tmp_path)
    assert site_address(tmp_path) == ""


def test_a_wrong_address_leads_to_a_page_that_works(tmp_path: Path) -> None:
    """The host shows it at any depth, so that its links begin at the top."""
    for settings, top in ((SETTINGS, "/digits/"), ('[project]\nname = "x"\n', "/")):
        folder = tmp_path / top.strip("/")
        folder.mkdir(exist_ok=True)
        soup = read(built(folder, settings) / "404.html")
        (title,) = soup.select("article h1")
        assert title.text == "There is no such page"
        addresses = [str(tag["href"]) for tag in soup.select("a[href], link[href]")]
        inside = [each for each in addresses if not each.startswith(("#", "http"))]
        assert f"{top}book/index.html" in inside
        assert [each for each in inside if not each.startswith(top)] == []


def test_a_sitemap_holds_any_address() -> None:
    assert "<loc>https://x.org/a&amp;b.html</loc>" in sitemap("https://x.org/", ["a&b.html"])


def test_the_card_is_small_and_has_the_size_that_services_show_uncut() -> None:
    with Image.open(CARD_FILE) as picture:
        assert (picture.format, picture.size) == ("PNG", CARD_SIZE)
    assert CARD_FILE.stat().st_size < 100_000
