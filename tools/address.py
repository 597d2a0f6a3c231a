"""Set the public address of the repository everywhere it is written, with one command.

    make address URL=https://github.com/OWNER/REPO
    make address URL=                                (takes it away again)

The address is kept in ``[project.urls]`` of ``pyproject.toml``. This command writes it there and
renews what is made from it: each block between a line with ``address:begin NAME`` and the next
line with ``address:end``, and the first code cell of every notebook. The site takes its own
address from there when it is built (``page_address.py``).
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from notebook_format import dump_notebook, is_install_cell, read_notebook, write_text

ROOT = Path(__file__).resolve().parent.parent
COLAB = "https://colab.research.google.com"
# The folder of the site that holds the helpers' wheel.
WHEELS = "helpers"
BLOCKS = {
    "urls": '[project.urls]\nRepository = "{url}"\nDocumentation = "{site}"',
    "config": 'repository:\n  url: "{url}"\n  branch: "main"\n  path_to_book: ""\n'
    f'launch_buttons:\n  colab_url: "{COLAB}"',
    "citation": 'repository-code: "{url}"\nurl: "{site}"',
    "badges": "[Read the book]({site})\n"
    f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({{first}})\n"
    "[![Tests]({url}/actions/workflows/test.yml/badge.svg)]({url}/actions/workflows/test.yml)",
    "colab": "{chapters}",
    "clone": "```\ngit clone {url}\ncd {name}\n```",
}
"""What each block holds where there is an address."""

# Without an empty address Jupyter Book would point readers at its own repository.
NO_BLOCKS = dict.fromkeys(BLOCKS, "") | {"config": 'repository:\n  url: ""'}
INSTALL_CELL = """\
# The book's own helpers come first; where they are missing, this installs them.
try:
    import mnist_helpers
except ModuleNotFoundError:{find}
    %pip install --quiet {wheel}
    import mnist_helpers"""
# The notebook may have come alone, and its site has no address: the wheel lies beside it.
FIND_WHEEL = """
    from pathlib import Path

    wheels = sorted(Path().glob("mnist_helpers-*.whl"))
    if not wheels:
        raise ModuleNotFoundError(
            "mnist_helpers is missing. The book offers it as a wheel file on its "
            "page How to run: put that beside this notebook and run this cell again."
        ) from None"""

_URL = re.compile(r"https://github\.com/([A-Za-z0-9][A-Za-z0-9-]*)/([A-Za-z0-9._-]+?)(?:\.git)?/?")
_BLOCK = re.compile(
    r"^(?P<margin>[ \t]*)(?P<begin>.*address:begin (?P<name>[a-z]+).*\n)"
    r"(?:(?!.*address:(?:begin|end)).*\n)*(?P<end>.*address:end)",
    re.MULTILINE,
)


class AddressError(ValueError):
    """The address, or a block that is made from it, is not as it should be."""


def parse_url(url: str) -> str:
    """Read an address such as ``https://github.com/OWNER/REPO``; return it without an ending."""
    match = _URL.fullmatch(url.strip())
    if match is None or match[2] in {".", ".."}:
        raise AddressError(
            f"{url!r} is not the address of a repository: give it as https://github.com/OWNER/REPO"
        )
    return f"https://github.com/{match[1]}/{match[2]}"


def read_address(root: Path = ROOT) -> str | None:
    """The address that ``pyproject.toml`` names, or None while none is set."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    url = project.get("project", {}).get("urls", {}).get("Repository")
    return None if url is None else parse_url(url)


def wheel_name() -> str:
    """The file name of the helpers' wheel, which the site carries (``site_wheel.py``)."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return f"{project['name'].replace('-', '_')}-{project['version']}-py3-none-any.whl"


def site_of(url: str) -> str:
    """Where GitHub Pages serves the book."""
    owner, name = url.split("/")[-2:]
    return f"https://{owner.lower()}.github.io/{name}/"


def install_cell(url: str | None) -> str:
    """The source of the first code cell of every notebook."""
    if url is None:
        return INSTALL_CELL.format(find=FIND_WHEEL, wheel="{wheels[-1]}")
    return INSTALL_CELL.format(find="", wheel=f"{site_of(url)}{WHEELS}/{wheel_name()}")


def notebook_paths(root: Path = ROOT) -> list[Path]:
    """Every notebook of the book: in the order of ``_toc.yml``, then the rest by name."""
    rest = {path.stem: path for path in sorted((root / "notebooks").glob("*.ipynb"))}
    toc = root / "_toc.yml"
    listed = re.findall(r"notebooks/([\w-]+)", toc.read_text("utf-8")) if toc.is_file() else []
    ordered = [rest.pop(stem) for stem in dict.fromkeys(listed) if stem in rest]
    return ordered + list(rest.values())


def blocks(url: str | None, root: Path = ROOT) -> dict[str, str]:
    """What each block holds, by its name."""
    if url is None:
        return NO_BLOCKS
    owner, name = url.split("/")[-2:]
    chapters = []
    for path in notebook_paths(root):
        title = read_notebook(path.read_text("utf-8")).cells[0].source.splitlines()[0]
        link = f"{COLAB}/github/{owner}/{name}/blob/main/notebooks/{path.name}"
        chapters.append((title.removeprefix("# "), link))
    values = {
        "url": url,
        "site": site_of(url),
        "name": name,
        "first": chapters[0][1],
        "chapters": "\n".join(f"- [{title}]({link})" for title, link in chapters),
    }
    return {block: text.format(**values) for block, text in BLOCKS.items()}


def renew_blocks(text: str, made: dict[str, str]) -> str:
    """Renew every block between ``address:begin NAME`` and ``address:end`` in a text."""

    def renewed(block: re.Match[str]) -> str:
        if block["name"] not in made:
            raise AddressError(
                f"unknown block {block['name']!r}: the known ones are {', '.join(made)}"
            )
        lines = [f"{block['margin']}{line}".rstrip() for line in made[block["name"]].splitlines()]
        return "\n".join([block["margin"] + block["begin"].rstrip("\n"), *lines, block["end"]])

    result, count = _BLOCK.subn(renewed, text)
    if count != text.count("address:begin "):
        raise AddressError("a block has no line with address:end")
    return result


def _renewed(path: Path, text: str, url: str | None, made: dict[str, str]) -> str:
    if path.suffix != ".ipynb":
        return renew_blocks(text, made)
    notebook = read_notebook(text)
    stale = [cell for cell in notebook.cells if is_install_cell(cell)][:1]
    for cell in stale:
        cell.source = install_cell(url)
    return dump_notebook(notebook) if stale else text


def set_address(url: str | None, root: Path = ROOT) -> list[Path]:
    """Write the address (None: take it away) to every place; return what changed.

    Nothing is written unless every file can be renewed; the AddressError names the bad one.
    """
    made = blocks(url, root)
    named = [root / name for name in ("pyproject.toml", "_config.yml", "CITATION.cff")]
    pages = sorted([*root.glob("*.md"), *(root / "book").rglob("*.md")])
    changed: dict[Path, str] = {}
    for path in [*filter(Path.is_file, named), *pages, *notebook_paths(root)]:
        before = path.read_bytes().decode("utf-8")
        try:
            after = _renewed(path, before, url, made)
        except AddressError as error:
            raise AddressError(f"{path.relative_to(root)}: {error}") from None
        if after != before:
            changed[path] = after
    for path, after in changed.items():
        write_text(path, after)
    return list(changed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description="Set the repository's public address.")
    parser.add_argument("url", help="https://github.com/OWNER/REPO, or '' to take it away")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository's top folder")
    options = parser.parse_args(arguments)
    try:
        url = parse_url(options.url) if options.url else None
        changed = set_address(url, options.root)
    except AddressError as error:
        print(f"address: {error}", file=sys.stderr)
        return 1
    print(*(path.relative_to(options.root) for path in changed), sep="\n")
    print(f"the address is {url}" if url else "no address is set")
    return 0


if __name__ == "__main__":
    sys.exit(main())
