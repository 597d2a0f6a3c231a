"""The book as a PDF: every chapter and every figure in it, nothing left over, links that lead."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pypdf
import pytest
from bs4 import BeautifulSoup, Tag
from chromium import NoBrowserError
from pdf import chapter, long_page, place, print_book
from site_pages import Page, toc_files

pytest_plugins = ["built_site"]

# Chromium lays out hundreds of pages.
pytestmark = pytest.mark.stress

BOOK = {"book/index", "notebooks/data"}


def plain(text: str) -> str:
    """A text without what depends on how it was laid out: its letters and digits."""
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", text))


def without_formulas(tag: Tag) -> str:
    """The words of a tag; a formula is laid out as signs of its own."""
    copy = BeautifulSoup(str(tag), "html.parser")
    for formula in copy.select(".math, .headerlink"):
        formula.replace_with("\n")
    return copy.get_text()


@pytest.fixture(scope="module")
def whole(site: Path) -> BeautifulSoup:
    """The long page that is printed."""
    return BeautifulSoup(long_page(site), "html.parser")


@pytest.fixture(scope="module")
def pdf(site: Path, tmp_path_factory: pytest.TempPathFactory) -> pypdf.PdfReader:
    file = tmp_path_factory.mktemp("pdf") / "book.pdf"
    try:
        print_book(site, file)
    except NoBrowserError as error:
        pytest.skip(str(error))
    return pypdf.PdfReader(file)


@pytest.fixture(scope="module")
def text(pdf: pypdf.PdfReader) -> str:
    """All that the PDF says, without the numbers of its pages."""
    return plain("".join(page.extract_text() for page in pdf.pages))


def test_every_title_and_every_caption_is_in_the_pdf(text: str, pages: list[Page]) -> None:
    built = {str(page).removesuffix(".html"): page for page in pages}
    missing, captions = [], 0
    for name in toc_files():
        article = built[name].article
        titles = article.select("h1, h2, h3")
        figures = article.select("figure > figcaption")
        captions += len(figures)
        for tag in [*titles, *figures]:
            for line in without_formulas(tag).splitlines():
                if plain(line) not in text:
                    missing.append(f"{name}: {line}")
    assert captions > 50
    assert missing == []


def test_every_picture_is_in_the_pdf(pdf: pypdf.PdfReader, whole: BeautifulSoup) -> None:
    shown = {str(image["src"]) for image in whole.select("figure img")}
    drawn = {
        reference.idnum
        for page in pdf.pages
        for reference in page["/Resources"].get("/XObject", {}).values()
        if reference.get_object()["/Subtype"] == "/Image"
    }
    assert len(drawn) >= len(shown) > 50


def test_the_pdf_has_bookmarks_links_and_words_for_pictures(pdf: pypdf.PdfReader) -> None:
    titles = [plain(str(item.title)) for item in pdf.outline if not isinstance(item, list)]
    assert len(titles) >= len(toc_files())
    links = [
        link.get_object()
        for page in pdf.pages[:3]
        for link in page.get("/Annots", [])
        if link.get_object()["/Subtype"] == "/Link"
    ]
    inside = [link for link in links if "/Dest" in link]
    assert len(inside) >= len(toc_files())
    assert set(map(str, (link["/Dest"] for link in inside))) <= set(pdf.named_destinations)
    assert pdf.trailer["/Root"]["/MarkInfo"]["/Marked"]


def test_solutions_are_open_and_nothing_is_left_over(whole: BeautifulSoup) -> None:
    folds = whole.select("details")
    assert folds and all(fold.has_attr("open") for fold in folds)
    assert "Hide the solution" not in whole.get_text()
    assert whole.select("article button, article input, .controls, .headerlink, .lab") == []


def test_links_inside_the_book_lead_to_places_in_it(whole: BeautifulSoup) -> None:
    ids = [str(tag["id"]) for tag in whole.find_all(id=True) if not tag.find_parent("svg")]
    assert len(set(ids)) == len(ids)
    links = [str(link["href"]) for link in whole.find_all("a", href=True)]
    inside = [link for link in links if link.startswith("#")]
    assert len(inside) > 200
    assert {link.removeprefix("#") for link in inside} <= set(ids)
    outside = [link for link in links if not link.startswith("#")]
    assert all(re.match("https?:|mailto:", link) for link in outside)


def test_every_file_of_the_long_page_is_there(whole: BeautifulSoup, site: Path) -> None:
    files = [str(tag["src"]) for tag in whole.find_all(src=True)]
    files += [str(link["href"]) for link in whole.find_all("link")]
    local = [file.partition("?")[0] for file in files if not file.startswith("data:")]
    assert len(local) > 20
    assert [file for file in local if not (site / file).is_file()] == []


def test_a_page_becomes_a_part_of_the_whole() -> None:
    html = """<article class="bd-article"><section id="here"><h1>Title</h1>
        <a href="#here">here</a> <a href="../book/index.html#path">there</a>
        <a href="data.html">itself</a> <a href="../_sources/data.ipynb">file</a>
        <a href="https://example.org/">out</a> <img src="../_images/a%20b.png" alt="">
        <details><summary><p class="collapsed">Show it</p><p class="expanded">Hide it</p></summary>
        </details><div class="lab"></div><div class="lab"></div><button>x</button>
        </section></article>"""
    made = chapter(BeautifulSoup(html, "html.parser"), "notebooks/data", BOOK)
    assert made["id"] == place("notebooks/data") == "notebooks-data"
    assert [link.get("href") for link in made.find_all("a")] == [
        "#notebooks-data--here",
        "#book-index--path",
        "#notebooks-data",
        None,
        "https://example.org/",
    ]
    image, fold = made.find("img"), made.find("details")
    assert image is not None and image["src"] == "_images/a%20b.png"
    assert fold is not None and fold.get_text().strip() == "It"
    assert len(made.find_all("em")) == 1
    with pytest.raises(ValueError, match="no article"):
        chapter(BeautifulSoup("<p>Nothing</p>", "html.parser"), "notebooks/data", BOOK)
