"""What a site with an address says of itself: and that one without says nothing."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from xml.etree import ElementTree

import draw_card
import draw_filters
import numpy as np
import pytest
from address import parse_url, set_address
from bs4 import BeautifulSoup
from page_address import CARD, CARD_ALT, CARD_SIZE, site_address, sitemap
from PIL import Image
from site_pages import ROOT, build
from test_site import SOUND, small_book

ADDRESS = "https://some-class.github.io/digits/"
SETTINGS = f'[project]\nname = "x"\n[project.urls]\nDocumentation = "{ADDRESS}"\n'
PAGES = ["book/chapter", "book/glossary", "book/index"]


def built(folder: Path, settings: str) -> Path:
    """A small book, built where `settings` are in pyproject.toml: the folder of its pages."""
    small_book(folder, SOUND)
    (folder / "pyproject.toml").write_text(settings, encoding="utf-8")
    (folder / "book" / "static" / "card.png").write_bytes(draw_card.PICTURE.read_bytes())
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
    address = parse_url("https://github.com/Some-Class/digits")
    set_address(address, tmp_path)
    assert site_address(tmp_path) == address.site == ADDRESS
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


def test_the_card_is_what_its_tool_draws() -> None:
    drawn = draw_card.draw(draw_card.book_title(), draw_filters.checkpoint_filters())
    pictures = [Image.open(path) for path in (draw_card.PICTURE, io.BytesIO(drawn))]
    assert [picture.size for picture in pictures] == [CARD_SIZE, CARD_SIZE] == [draw_card.SIZE] * 2
    stored, new = (np.asarray(picture.convert("RGB"), dtype=float) for picture in pictures)
    # Another version of the font library may smooth the letters another way.
    assert np.abs(stored - new).mean() < 1, "run: python tools/draw_card.py"
    assert new.std() > 20
    assert draw_card.PICTURE.relative_to(ROOT) == Path("book/static") / Path(CARD).name
    assert draw_card.PICTURE.stat().st_size < 100_000
