"""What a site with an address says of itself: and that one without says nothing."""

from __future__ import annotations

import html
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
from docutils.core import publish_doctree
from page_address import CARD, CARD_ALT, CARD_SIZE, card_tags, first_words, site_address, sitemap
from PIL import Image
from site_pages import ROOT, build
from test_site import SOUND, small_book

ADDRESS = "https://some-class.github.io/digits/"
SETTINGS = f'[project]\nname = "x"\n[project.urls]\nDocumentation = "{ADDRESS}"\n'
PAGES = ["book/chapter", "book/index"]


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
        assert properties(soup) == {}


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


def test_what_a_page_says_cannot_break_out_of_its_tag() -> None:
    words = 'It says "no" & <b>that</b>'
    soup = BeautifulSoup(card_tags(words, words, words, ADDRESS, "a.html"), "html.parser")
    assert properties(soup)["og:title"] == properties(soup)["description"] == words
    assert soup.find("b") is None
    assert html.escape("&") in sitemap(ADDRESS, ["a&b.html"])


def test_the_first_words_are_those_of_the_first_paragraph() -> None:
    said = "**What you will see:** one  small\nfilter.\n\nMore."
    assert first_words(publish_doctree(said)) == "One small filter."
    assert first_words(publish_doctree("")) == ""
    long = first_words(publish_doctree("word " * 100))
    assert len(long) <= 200
    assert long.endswith(" word …")


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
