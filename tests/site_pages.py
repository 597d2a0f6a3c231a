"""What the tests of the built site share: building a book, and reading its pages."""

from __future__ import annotations

import gzip
import re
import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from bs4 import BeautifulSoup, Tag

ROOT = Path(__file__).resolve().parent.parent

# Attributes by which a page makes the browser fetch something, by element. A plain link
# (<a href>) is not among them: nothing is fetched until the reader follows it.
_FETCHING = {
    "audio": ["src"],
    "embed": ["src"],
    "iframe": ["src"],
    "image": ["href", "xlink:href"],
    "img": ["src", "srcset"],
    "input": ["src"],
    "link": ["href"],
    "object": ["data"],
    "script": ["src"],
    "source": ["src", "srcset"],
    "track": ["src"],
    "use": ["href", "xlink:href"],
    "video": ["src", "poster"],
}
# Kinds of <link> that name a page and fetch nothing. "next" is not one: Firefox fetches it.
_NAMING_RELS = {"author", "canonical", "help", "index", "license", "prev", "search"}
_CSS_REFERENCE = re.compile(r"""url\(\s*(['"]?)(.+?)\1\s*\)|@import\s+(['"])(.+?)\3""")


def build_options() -> list[str]:
    """The options that ``make book`` gives to Jupyter Book, read from the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    match = re.search(r"^\t\$\(BIN\)/jupyter-book build \. (.+)$", makefile, re.MULTILINE)
    assert match is not None, "the Makefile no longer runs jupyter-book as the tests expect"
    return match[1].split()


def build(book: Path, output: Path) -> subprocess.CompletedProcess[str]:
    """Build a book as ``make book`` does, but into another folder: ``output/_build/html``."""
    program = Path(sysconfig.get_path("scripts"), "jupyter-book")
    command = [program, "build", ".", *build_options(), "--path-output", output]
    return subprocess.run(
        command, cwd=book, capture_output=True, text=True, encoding="utf-8", errors="replace"
    )


def toc_files() -> list[str]:
    """The pages that the table of contents names, in order, without their suffixes."""

    def files(entry: dict[str, object]) -> Iterator[str]:
        for key, value in entry.items():
            if key in {"file", "root"}:
                yield re.sub(r"\.(md|ipynb)$", "", str(value))
            elif isinstance(value, list):
                for child in value:
                    yield from files(child)

    return list(files(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))))


def css_references(css: str) -> list[str]:
    """The addresses that a style sheet loads, ``data:`` ones left out."""
    found = [match[2] or match[4] for match in _CSS_REFERENCE.finditer(css)]
    return [address for address in found if not address.startswith(("data:", "#"))]


@dataclass(frozen=True)
class Page:
    """One built page.

    Attributes:
        path: Its file.
        site: The folder that holds the whole site.
    """

    path: Path
    site: Path

    def __str__(self) -> str:
        return self.path.relative_to(self.site).as_posix()

    @cached_property
    def soup(self) -> BeautifulSoup:
        return BeautifulSoup(self.path.read_text(encoding="utf-8"), "html.parser")

    @property
    def article(self) -> Tag:
        """The page's own content, without the theme's frame around it."""
        return self.soup.find("article") or self.soup.find("main") or self.soup

    @cached_property
    def ids(self) -> set[str]:
        """Every anchor that a link can point at."""
        named = {str(tag["id"]) for tag in self.soup.find_all(id=True)}
        return named | {str(tag["name"]) for tag in self.soup.find_all("a", attrs={"name": True})}

    def resources(self) -> list[str]:
        """The addresses of everything that the page itself makes the browser fetch."""
        addresses: list[str] = []
        for tag in self.soup.find_all(list(_FETCHING)):
            if tag.name == "link" and _NAMING_RELS.intersection(tag.get_attribute_list("rel")):
                continue
            for attribute in _FETCHING[tag.name]:
                value = str(tag.get(attribute, ""))
                parts = value.split(",") if attribute == "srcset" else [value]
                addresses += [part.split()[0] for part in parts if part.strip()]
        for tag in self.soup.find_all(style=True):
            addresses += css_references(str(tag["style"]))
        for tag in self.soup.find_all("style"):
            addresses += css_references(tag.get_text())
        for tag in self.soup.find_all("meta", attrs={"http-equiv": re.compile("refresh", re.I)}):
            addresses.append(str(tag["content"]).split("url=", 1)[-1])
        return [address for address in addresses if not address.startswith(("data:", "#"))]

    def file(self, address: str) -> Path:
        """The file that an address on this page means, whether it exists or not."""
        path = unquote(urlsplit(address).path)
        if path.startswith("/"):  # on the page for wrong addresses, which is shown at any depth
            return self.site / path[1:]
        return (self.path.parent / path).resolve() if path else self.path


def is_outside(address: str) -> bool:
    """Whether an address names another host (``mailto:`` names none)."""
    parts = urlsplit(address)
    return bool(parts.netloc) or parts.scheme in {"http", "https", "ws", "wss"}


def wire_size(path: Path) -> int:
    """How many bytes a file takes on the wire from a host that compresses with gzip."""
    return len(gzip.compress(path.read_bytes(), mtime=0))
