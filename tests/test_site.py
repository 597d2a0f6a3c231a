"""The built site: complete, without a dead link, and without a request to another host."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import zipfile
from pathlib import Path

import yaml
from address import WHEELS, wheel_name
from page_description import MAX_LENGTH
from site_pages import ROOT, Page, build, css_references, is_outside, toc_files, wire_size

from mnist_helpers.widgets import STATIC

pytest_plugins = ["built_site"]

# The fonts that a page with formulas makes the browser load.
FORMULA_FONTS = ("Main-Regular", "Math-Italic", "Size1-Regular", "Size2-Regular")
# Hosts that Jupyter Book, its theme and its extensions would load from by default.
USUAL_HOSTS = re.compile(
    r"unpkg\.com|jsdelivr|cdnjs|cloudflare|googleapis|gstatic|googletagmanager|plausible\.io"
)
MAX_PAGE = 600_000
MAX_PAGE_WITH_CONTROLS = 1_600_000


def test_every_page_of_the_contents_is_built_and_reachable(site: Path, pages: list[Page]) -> None:
    files = toc_files()
    assert len(files) == len(set(files))
    built = {str(page) for page in pages}
    assert {f"{file}.html" for file in files} <= built

    root = Page(site / f"{files[0]}.html", site)
    sidebar = root.soup.find(class_="bd-sidebar-primary")
    assert sidebar is not None
    linked = {root.file(str(link["href"])) for link in sidebar.find_all("a", href=True)}
    assert {site / f"{file}.html" for file in files} <= linked


def test_the_root_leads_to_the_first_page_and_asks_for_no_icon(site: Path) -> None:
    root = Page(site / "index.html", site)
    refresh = root.soup.find("meta", attrs={"http-equiv": "refresh"})
    first = site / f"{toc_files()[0]}.html"
    assert refresh is not None and str(refresh["content"]).endswith(f"url={toc_files()[0]}.html")
    assert [root.file(str(link["href"])) for link in root.soup.find_all("a")] == [first]
    icon = root.soup.find("link", rel="icon")
    assert icon is not None and icon["href"] == "data:,"


def test_every_notebook_and_every_prose_page_is_in_the_contents() -> None:
    sources = [*ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("book/*.md")]
    names = {path.relative_to(ROOT).with_suffix("").as_posix() for path in sources}
    assert names == set(toc_files())


def test_internal_links_and_anchors_resolve(pages: list[Page]) -> None:
    by_path = {page.path: page for page in pages}
    broken = []
    checked = 0
    for page in pages:
        for link in page.soup.find_all("a", href=True):
            address = str(link["href"])
            if is_outside(address) or address.startswith(("mailto:", "javascript:")):
                continue
            checked += 1
            target = page.file(address)
            _, _, anchor = address.partition("#")
            if not target.is_file():
                broken.append(f"{page}: {address}: no such file")
            # A lone "#" means the top of the page, and the theme's buttons use it.
            elif anchor and target in by_path and anchor not in by_path[target].ids:
                broken.append(f"{page}: {address}: no such anchor")
    assert checked > len(pages)
    assert broken == []


def test_everything_that_a_page_loads_is_there(site: Path, pages: list[Page]) -> None:
    missing = [
        f"{page}: {address}"
        for page in pages
        for address in page.resources()
        if not is_outside(address) and not page.file(address).is_file()
    ]
    for sheet in site.rglob("*.css"):
        for address in css_references(sheet.read_text(encoding="utf-8")):
            if not is_outside(address) and not Page(sheet, site).file(address).is_file():
                missing.append(f"{sheet.relative_to(site)}: {address}")
    assert missing == []


def test_nothing_is_loaded_from_another_host(site: Path, pages: list[Page]) -> None:
    outside = [
        f"{page}: {address}"
        for page in pages
        for address in page.resources()
        if is_outside(address)
    ]
    for sheet in site.rglob("*.css"):
        addresses = css_references(sheet.read_text(encoding="utf-8"))
        outside += [f"{sheet.name}: {address}" for address in addresses if is_outside(address)]
    scripts = {str(page): [tag.get_text() for tag in page.soup("script")] for page in pages}
    for path in site.rglob("*.js"):
        scripts[path.relative_to(site).as_posix()] = [path.read_text(encoding="utf-8")]
    for name, texts in scripts.items():
        outside += [f"{name}: {host}" for text in texts for host in USUAL_HOSTS.findall(text)]
    assert outside == []


def test_images_have_an_alternative_text_of_real_words(pages: list[Page]) -> None:
    poor = []
    for page in pages:
        for image in page.article.find_all("img"):
            text = str(image.get("alt", ""))
            words = re.findall(r"[^\W\d_]{2,}", text)
            if len(words) < 4 or re.search(r"[/\\_]|\.(png|svg|jpe?g|gif|webp)\b", text):
                poor.append(f"{page}: {image.get('src')}: alt={text!r}")
        # A drawing in the page itself has its words in a title or a label.
        for drawing in page.article.find_all("svg", attrs={"role": "img"}):
            title = drawing.find("title")
            text = str(drawing.get("aria-label") or (title.get_text() if title else ""))
            if len(re.findall(r"[^\W\d_]{2,}", text)) < 4:
                poor.append(f"{page}: a drawing: {text!r}")
    assert poor == []


def test_a_table_that_a_cell_made_is_shown_as_a_table(pages: list[Page]) -> None:
    raw = [
        f"{page}: {paragraph.get_text()[:60]}"
        for page in pages
        for paragraph in page.article.find_all("p")
        if re.match(r"\|.*\|", paragraph.get_text())
    ]
    assert raw == []
    assert any(page.article.select(".cell_output table") for page in pages)


def test_mathjax_is_loaded_where_there_is_maths_and_nowhere_else(pages: list[Page]) -> None:
    for page in pages:
        has_maths = page.article.find(class_="math") is not None
        loads_mathjax = any("mathjax" in address for address in page.resources())
        assert loads_mathjax == has_maths, str(page)
        assert ("window.MathJax" in page.path.read_text(encoding="utf-8")) == has_maths, str(page)


def test_a_fold_is_called_what_its_title_says(pages: list[Page]) -> None:
    folds = [fold for page in pages for fold in page.article.select("details > summary")]
    assert folds
    for fold in folds:
        assert fold.get_text(strip=True)
        assert not fold.has_attr("aria-label"), fold


def test_the_chapters_quotations_are_boxes_on_the_site(pages: list[Page]) -> None:
    chapters = [page for page in pages if str(page).startswith("notebooks/")]
    assert chapters
    for page in chapters:
        titles = [title.get_text() for title in page.article.select(".admonition-title")]
        assert titles[0] == "In this chapter", str(page)
        assert page.article.find("blockquote") is None, str(page)


def test_captions_of_pictures_are_numbered_as_all_others(pages: list[Page]) -> None:
    (page,) = [page for page in pages if str(page) == "notebooks/tensorboard.html"]
    captions = page.article.select("figure > figcaption")
    numbers = [caption.select_one(".caption-number") for caption in captions]
    told = [re.findall(r"\d+", number.get_text())[-1] for number in numbers if number is not None]
    assert told == [str(number) for number in range(1, len(captions) + 1)]
    pictures = page.article.select("figure > img[src*='images/scalars']")
    assert len(pictures) == 1


def test_each_link_to_a_term_brings_its_definition(pages: list[Page]) -> None:
    (glossary,) = [page for page in pages if str(page) == "book/glossary.html"]
    assert glossary.article.select("a[id]") == []
    count = 0
    for page in pages:
        used = set()
        for link in page.article.find_all("a", href=re.compile(r"glossary\.html#")):
            count += 1
            term = glossary.soup.find(id=str(link["href"]).partition("#")[2])
            told = page.soup.find(id=str(link["aria-describedby"]))
            assert term is not None and told is not None
            # Its heading, then what is told.
            words = " ".join(term.get_text().split())
            assert " ".join(told.get_text().split()) in words, words
            assert told.find("a") is None
            used.add(told["id"])
        assert {told["id"] for told in page.article.select(".term-definitions > p")} == used
        assert any("terms.js" in address for address in page.resources()) == bool(used), str(page)
    assert count > 300


def test_each_page_says_what_it_is_about(pages: list[Page]) -> None:
    told: dict[str, str] = {}
    for page in pages:
        (tag,) = page.soup.find_all("meta", attrs={"name": "description"})
        told[str(page)] = str(tag["content"])
        assert 20 < len(told[str(page)]) <= MAX_LENGTH, str(page)
        if str(page).startswith("notebooks/"):
            box = page.article.select_one("div.admonition")
            assert box is not None
            start = told[str(page)][1:].rstrip("…")
            assert start in " ".join(box.get_text().split()), str(page)
    assert told.pop("index.html") == told["book/index.html"]
    assert len(set(told.values())) == len(told)


def test_the_site_carries_the_wheel_of_the_helpers(site: Path, pages: list[Page]) -> None:
    (wheel,) = (site / WHEELS).iterdir()
    assert wheel.name == wheel_name()
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        assert packed.testzip() is None
    assert {f"mnist_helpers/{name}" for name in ("__init__.py", "checkpoints/10000.npz")} <= set(
        names
    )
    (page,) = [page for page in pages if str(page) == "book/how-to-run.html"]
    (link,) = page.article.find_all("a", download=True)
    assert page.file(str(link["href"])) == wheel
    assert link.get_text() == wheel.name


def chapters(pages: list[Page]) -> list[Page]:
    """The pages of the notebooks, in their order."""
    by_name = {str(page).removesuffix(".html"): page for page in pages}
    return [by_name[name] for name in toc_files() if name.startswith("notebooks/")]


def test_a_chapter_says_which_it_is_and_how_long_it_takes(pages: list[Page]) -> None:
    told = [page.article.select_one("h1 + p.chapter-line") for page in chapters(pages)]
    for place, line in enumerate(told, start=1):
        assert line is not None, place
        pattern = rf"Chapter {place} of {len(told)} · ([2-9]|[1-5]\d) minutes"
        assert re.fullmatch(pattern, line.get_text()), line
    others = [page for page in pages if page.soup.select_one(".chapter-line")]
    assert len(others) == len(told)


def test_the_links_to_the_next_chapters_say_what_comes(pages: list[Page]) -> None:
    for before, after in itertools.pairwise(chapters(pages)):
        line, opening = after.article.select_one(".chapter-line"), after.article.strong
        link = before.soup.select_one(".prev-next-area a.right-next")
        assert line is not None and opening is not None and link is not None
        assert opening.get_text() == "What you will see:" and opening.parent is not None
        promise = opening.parent.get_text().partition(":")[2].strip()
        minutes = line.get_text().partition("· ")[2]
        words = [part.get_text() for part in link.select("p")]
        assert words[0] == f"Next · {minutes}"
        assert words[2].lower() == promise.lower()
        back = after.soup.select_one(".prev-next-area a.left-prev .prev-next-subtitle")
        assert back is not None and re.fullmatch(r"Previous · \d+ minutes", back.get_text())


def test_a_chapter_begins_with_its_set_up_as_one_line(pages: list[Page]) -> None:
    for page in chapters(pages):
        first, second = page.article.select(".cell")[:2]
        fold = first.find("details", recursive=False)
        assert fold is not None and not fold.has_attr("open"), str(page)
        assert set(fold.summary.stripped_strings) == {"Set-up"}
        assert "import mnist_helpers" in fold.get_text(), str(page)
        # Imports that print something stay where they are.
        imports = re.match(r"(import|from) ", second.get_text().strip())
        assert not imports or second.select_one(".cell_output"), str(page)


def test_a_check_that_teaches_nothing_is_one_line(pages: list[Page]) -> None:
    found = 0
    for page in chapters(pages):
        notebook = json.loads((ROOT / str(page)).with_suffix(".ipynb").read_text("utf-8"))
        tagged = [c for c in notebook["cells"] if "check" in c["metadata"].get("tags", [])]
        folds = page.article.select(".cell.folded-check > details")
        assert len(folds) == len(tagged), str(page)
        for fold in folds:
            assert not fold.has_attr("open") and fold.summary is not None
            assert set(fold.summary.stripped_strings) == {"✓ checked"}
            outputs = [line for o in fold.select(".cell_output") for line in o.stripped_strings]
            assert all(line.endswith("True") for text in outputs for line in text.splitlines())
        found += len(folds)
    assert found > 20


def test_how_a_picture_was_made_is_folded_and_the_picture_is_not(pages: list[Page]) -> None:
    found = 0
    for page in chapters(pages):
        for cell in page.article.select(".cell.tag_hide-input"):
            (fold,) = cell.find_all("details", recursive=False)
            assert not fold.has_attr("open") and fold.summary is not None
            (words,) = set(fold.summary.stripped_strings)
            assert words.startswith("How "), (str(page), words)
            assert fold.select_one(".cell_input") and not fold.select_one(".cell_output")
            if words == "How this picture was made":
                assert cell.select_one(".cell_output :is(img, .mnist-widget)"), str(page)
                found += 1
    assert found > 40


def test_a_page_is_light_on_the_wire(site: Path, pages: list[Page]) -> None:
    """A page with everything that it makes the browser load, its pictures and fonts included."""
    vendor = site / "_static" / "vendor"
    mathjax = vendor / "mathjax"
    parts = [path for path in mathjax.rglob("*.js") if "extensions" not in path.parts]
    fonts = mathjax / "output" / "chtml" / "fonts" / "woff-v2"
    formulas = [*parts, *(fonts / f"MathJax_{name}.woff" for name in FORMULA_FONTS)]
    assert len(parts) > 3
    for page in pages:
        addresses = page.resources()
        loaded = {page.path, *map(page.file, addresses), vendor / "icons" / "icons.woff2"}
        if any("mathjax" in address for address in addresses):
            loaded.update(formulas)
        sizes = {path.name: wire_size(path) for path in loaded}
        heaviest = sorted(sizes.items(), key=lambda item: -item[1])[:5]
        controls = page.soup.select("figure.mnist-widget")
        most = MAX_PAGE_WITH_CONTROLS if controls else MAX_PAGE
        assert sum(sizes.values()) < most, f"{page}: {sum(sizes.values())}, {heaviest}"


def test_the_small_icon_font_has_every_icon_of_the_pages(site: Path, pages: list[Page]) -> None:
    """Else a browser would load the theme's whole font, 156 KB."""
    theme = (site / "_static" / "styles" / "pydata-sphinx-theme.css").read_text(encoding="utf-8")
    characters = dict(re.findall(r"\.fa-([\w-]+):before[^{}]*\{content:\"\\([0-9a-f]+)\"", theme))
    shown = {
        characters[name.removeprefix("fa-")]
        for page in pages
        for tag in page.soup.find_all(class_=re.compile("^fa-"))
        for name in tag.get_attribute_list("class")
        if name.removeprefix("fa-") in characters
    }
    assert len(shown) > 5
    ours = (ROOT / "book" / "static" / "book.css").read_text(encoding="utf-8")
    assert shown <= {code.lower() for code in re.findall(r"U\+([0-9A-F]+)", ours)}


def small_book(folder: Path, chapter: str) -> Path:
    """A book of two pages with the real book's settings; `chapter` is the second's text."""
    shutil.copy(ROOT / "_config.yml", folder)
    files = [f"book/static/{kind}" for kind in ("book.css", "book.js", "scheme.js")]
    files += ["book/static/terms.css", "book/static/terms.js"]
    files += ["book/images/logo.svg"]
    paths = (ROOT / "book/templates").rglob("*.html")
    templates = [path.relative_to(ROOT).as_posix() for path in paths]
    extensions = ["tools/page_fixes.py", "tools/lab_data.py", "tools/page_address.py"]
    extensions += ["tools/site_wheel.py", "tools/address.py", "tools/notebook_format.py"]
    extensions += ["tools/page_policy.py", "tools/plain_markdown.py", "tools/page_description.py"]
    extensions += [f"tools/{name}.py" for name in ("chapter_pages", "path_counts", "reading_time")]
    extensions += ["tools/how_we_know.py", "tools/mutants_kept.py"]
    widgets = [f"mnist_helpers/static/{path.name}" for path in STATIC.iterdir()]
    for name in [*files, *templates, *extensions, *widgets]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    toc = {"format": "jb-book", "root": "book/index", "chapters": [{"file": "book/chapter"}]}
    toc["chapters"].append({"file": "book/glossary"})
    (folder / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    (folder / "book" / "index.md").write_text("# Home\n\n[Next](chapter.md)\n", encoding="utf-8")
    (folder / "book" / "chapter.md").write_text(chapter, encoding="utf-8")
    (folder / "book" / "glossary.md").write_text(GLOSSARY, encoding="utf-8")
    return folder


GLOSSARY = "# Glossary\n\n## batch\n\nA handful of images.\n"
SOUND = """# Chapter

(here)=
## Part

[Home](index.md), [this part](here), [batches](glossary.md#batch), $x$.
"""


def test_a_sound_book_builds(tmp_path: Path) -> None:
    result = build(small_book(tmp_path, SOUND), tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


BROKEN = {
    "gone.md": "[A page that is not there](gone.md)",
    "nowhere": "[An anchor that is not there](#nowhere)",
    "unexplained": "[A word that is not explained](glossary.md#unexplained)",
    "gone.png": "![A picture that is not there](gone.png)",
}


def test_a_broken_reference_fails_the_build(tmp_path: Path) -> None:
    chapter = "\n\n".join([SOUND, *BROKEN.values()])
    result = build(small_book(tmp_path, chapter), tmp_path)
    assert result.returncode != 0
    warnings = [line for line in result.stderr.splitlines() if "WARNING" in line]
    assert len(warnings) == len(BROKEN), result.stderr
    for reference in BROKEN:
        assert any(reference in warning for warning in warnings), reference
