"""Set the public address of the repository everywhere it is written, by one command.

    make address URL=https://github.com/OWNER/REPO
    make address URL=                                (takes it away again)

The address is kept in one place, ``[project.urls]`` of ``pyproject.toml``. This command
writes it there and renews everything that is made from it:

- each block between a line with ``address:begin NAME`` and the next line with
  ``address:end`` in ``pyproject.toml``, ``_config.yml``, ``CITATION.cff``, the Markdown
  files at the top level and the pages in ``book/`` (the names are the keys of `BLOCKS`);
- the install cell, which is the first code cell of every notebook.

The site takes its own address from there too, when it is built (``page_address.py``). While no
address is set, all of these hold nothing that points anywhere.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from notebook_format import dump_notebook, is_install_cell, read_notebook, write_text

ROOT = Path(__file__).resolve().parent.parent
BRANCH = "main"
COLAB = "https://colab.research.google.com"

_URL = re.compile(r"https://github\.com/([A-Za-z0-9][A-Za-z0-9-]*)/([A-Za-z0-9._-]+?)(?:\.git)?/?")
_BEGIN = re.compile(r"address:begin(?:[ ]+(?P<name>[a-z]+))?")
_END = re.compile(r"address:end")
_DEFAULT_BLOCK = {"pyproject.toml": "urls", "_config.yml": "config", "CITATION.cff": "citation"}


class AddressError(ValueError):
    """The address, or a block that is made from it, is not as it must be."""


@dataclass(frozen=True)
class Address:
    """The public address of the repository, ``https://github.com/owner/name``."""

    owner: str
    name: str

    @property
    def url(self) -> str:
        """The repository's own page."""
        return f"https://github.com/{self.owner}/{self.name}"

    @property
    def site(self) -> str:
        """Where GitHub Pages serves the book."""
        return f"https://{self.owner.lower()}.github.io/{self.name}/"

    def colab(self, notebook: str) -> str:
        """Where Colab opens a notebook, given by its path in the repository."""
        return f"{COLAB}/github/{self.owner}/{self.name}/blob/{BRANCH}/{notebook}"


def parse_url(url: str) -> Address:
    """Read an address such as ``https://github.com/OWNER/REPO``.

    Raises:
        AddressError: If it is not the https address of a repository on GitHub (Colab
            opens notebooks from there alone).
    """
    match = _URL.fullmatch(url.strip())
    if match is None or match[2] in {".", ".."}:
        raise AddressError(
            f"{url!r} is not the address of a repository: give it as https://github.com/OWNER/REPO"
        )
    return Address(match[1], match[2])


def read_address(root: Path = ROOT) -> Address | None:
    """The address that ``pyproject.toml`` names, or None while none is set."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    url = project.get("project", {}).get("urls", {}).get("Repository")
    return None if url is None else parse_url(url)


def install_cell(address: Address | None) -> str:
    """The source of the first code cell of every notebook."""
    if address is None:
        return (
            "# The book's own helpers come first.\n"
            "try:\n"
            "    import mnist_helpers\n"
            "except ModuleNotFoundError:\n"
            "    raise ModuleNotFoundError(\n"
            '        "mnist_helpers is missing: run `pip install .` in the folder that holds "\n'
            '        "the book\'s pyproject.toml, then restart the kernel."\n'
            "    ) from None"
        )
    return (
        "# The book's own helpers come first; where they are missing, this installs them.\n"
        "try:\n"
        "    import mnist_helpers\n"
        "except ModuleNotFoundError:\n"
        f"    %pip install --quiet git+{address.url}\n"
        "    import mnist_helpers"
    )


def _urls_block(address: Address, root: Path) -> str:
    return f'[project.urls]\nRepository = "{address.url}"\nDocumentation = "{address.site}"'


def _config_block(address: Address, root: Path) -> str:
    return (
        f'repository:\n  url: "{address.url}"\n  branch: "{BRANCH}"\n  path_to_book: ""\n'
        f'launch_buttons:\n  colab_url: "{COLAB}"'
    )


def _citation_block(address: Address, root: Path) -> str:
    return f'repository-code: "{address.url}"\nurl: "{address.site}"'


def _badges_block(address: Address, root: Path) -> str:
    badges = [f"[Read the book]({address.site})"]
    first = next(iter(notebook_paths(root)), None)
    if first is not None:
        notebook = first.relative_to(root).as_posix()
        badges.append(
            f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({address.colab(notebook)})"
        )
    for workflow in sorted((root / ".github" / "workflows").glob("test*.yml")):
        runs = f"{address.url}/actions/workflows/{workflow.name}"
        badges.append(f"[![Tests]({runs}/badge.svg)]({runs})")
    return "\n".join(badges)


def _title(path: Path) -> str:
    """The title of a notebook, or its file's name where it has none."""
    for cell in read_notebook(path.read_text(encoding="utf-8")).cells:
        match = re.match(r"# (.+)", cell.source)
        if cell.cell_type == "markdown" and match:
            return match[1].strip()
    return path.stem


def _colab_block(address: Address, root: Path) -> str:
    links = []
    for path in notebook_paths(root):
        notebook = path.relative_to(root).as_posix()
        links.append(f"- [{_title(path)}]({address.colab(notebook)})")
    return "\n".join(links)


def _clone_block(address: Address, root: Path) -> str:
    return f"```\ngit clone {address.url}\ncd {address.name}\n```"


def _install_block(address: Address, root: Path) -> str:
    return f"```\npip install git+{address.url}\n```"


BLOCKS: dict[str, Callable[[Address, Path], str]] = {
    "urls": _urls_block,
    "config": _config_block,
    "citation": _citation_block,
    "badges": _badges_block,
    "colab": _colab_block,
    "clone": _clone_block,
    "install": _install_block,
}

# What a block holds while no address is set; the others are empty then. Jupyter Book
# needs an empty address: without one it would point readers at its own repository.
_UNSET = {"config": 'repository:\n  url: ""'}


def notebook_paths(root: Path = ROOT) -> list[Path]:
    """Every notebook of the book: in the order of ``_toc.yml``, then the rest by name."""
    rest = {path.stem: path for path in sorted((root / "notebooks").glob("*.ipynb"))}
    toc = root / "_toc.yml"
    listed = re.findall(r"notebooks/([\w-]+)", toc.read_text("utf-8")) if toc.is_file() else []
    ordered = [rest.pop(stem) for stem in dict.fromkeys(listed) if stem in rest]
    return ordered + list(rest.values())


def _marked_files(root: Path) -> Iterator[Path]:
    for name in _DEFAULT_BLOCK:
        if (root / name).is_file():
            yield root / name
    yield from sorted(root.glob("*.md"))
    yield from sorted((root / "book").rglob("*.md"))


def renew_blocks(text: str, address: Address | None, default: str, root: Path) -> str:
    """Renew every block between ``address:begin`` and ``address:end`` in a text.

    Args:
        text: A whole file.
        address: The address, or None for the blocks of a book without one.
        default: The name of a block that does not say it.
        root: The top folder of the repository.

    Raises:
        AddressError: If a block has an unknown name, or no end.
    """
    result: list[str] = []
    inside: str | None = None
    for line in text.splitlines(keepends=True):
        begin = _BEGIN.search(line)
        if inside is None:
            result.append(line)
        elif begin is not None:
            raise AddressError(f"the block {inside!r} has no line with address:end")
        if begin is not None and inside is None:
            inside = begin["name"] or default
            if inside not in BLOCKS:
                known = ", ".join(BLOCKS)
                raise AddressError(f"unknown block {inside!r}: the known ones are {known}")
            made = BLOCKS[inside](address, root) if address else _UNSET.get(inside, "")
            indent = re.match(r"[ \t]*", line)
            margin = indent[0] if indent else ""
            result.extend(f"{margin}{part}".rstrip() + "\n" for part in made.splitlines())
        elif inside is not None and _END.search(line):
            result.append(line)
            inside = None
    if inside is not None:
        raise AddressError(f"the block {inside!r} has no line with address:end")
    return "".join(result)


def renew_install_cell(text: str, address: Address | None) -> str:
    """Renew the install cell of a notebook, given and returned as the text of its file.

    A notebook without one is returned as it is: the tests say that it lacks it.
    """
    notebook = read_notebook(text)
    source = install_cell(address)
    cell = next((cell for cell in notebook.cells if is_install_cell(cell)), None)
    if cell is None or cell.source == source:
        return text
    cell.source = source
    return dump_notebook(notebook)


def set_address(address: Address | None, root: Path = ROOT) -> list[Path]:
    """Write the address (None: take it away) to every place; return what changed.

    Nothing is written unless every file can be renewed.

    Raises:
        AddressError: If ``pyproject.toml`` has no block for it, or a block is malformed.
    """
    renewed: dict[Path, str] = {}
    for path in _marked_files(root):
        before = path.read_bytes().decode("utf-8")
        default = _DEFAULT_BLOCK.get(path.name, "badges")
        try:
            after = renew_blocks(before, address, default, root)
        except AddressError as error:
            raise AddressError(f"{path.relative_to(root)}: {error}") from None
        if path.name == "pyproject.toml" and not _BEGIN.search(before):
            raise AddressError(
                "pyproject.toml: the lines '# address:begin' and '# address:end' are missing; "
                "put them after the last line of [project]"
            )
        if after != before:
            renewed[path] = after
    for path in notebook_paths(root):
        before = path.read_bytes().decode("utf-8")
        after = renew_install_cell(before, address)
        if after != before:
            renewed[path] = after
    for path, after in renewed.items():
        write_text(path, after)
    return list(renewed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description="Set the repository's public address.")
    parser.add_argument("url", nargs="?", help="https://github.com/OWNER/REPO")
    parser.add_argument("--unset", action="store_true", help="take the address away")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository's top folder")
    options = parser.parse_args(arguments)
    if options.unset == (options.url is not None):
        parser.error("give either the address or --unset")
    try:
        address = None if options.unset else parse_url(options.url)
        changed = set_address(address, options.root)
    except AddressError as error:
        print(f"address: {error}", file=sys.stderr)
        return 1
    for path in changed:
        print(path.relative_to(options.root))
    print("no address is set" if address is None else f"the address is {address.url}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
