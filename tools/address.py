"""Set the public address of the repository everywhere it is written, by one command.

    make address URL=https://github.com/OWNER/REPO
    make address URL=                                (takes it away again)

The address is kept in ``[project.urls]`` of ``pyproject.toml``. This command writes it there and
renews what is made from it: each block between a line with ``address:begin NAME`` and the next
line with ``address:end`` (the names are the keys of `blocks`), and the first code cell of every
notebook. The site takes its own address from there when it is built (``page_address.py``). While
no address is set, all of these point nowhere.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from notebook_format import dump_notebook, is_install_cell, read_notebook, write_text

ROOT = Path(__file__).resolve().parent.parent
BRANCH = "main"
COLAB = "https://colab.research.google.com"
# The folder of the site that holds the helpers' wheel.
WHEELS = "helpers"

_URL = re.compile(r"https://github\.com/([A-Za-z0-9][A-Za-z0-9-]*)/([A-Za-z0-9._-]+?)(?:\.git)?/?")
_BLOCK = re.compile(
    r"^(?P<margin>[ \t]*)(?P<begin>.*address:begin (?P<name>[a-z]+).*\n)"
    r"(?:(?!.*address:(?:begin|end)).*\n)*(?P<end>.*address:end)",
    re.MULTILINE,
)


class AddressError(ValueError):
    """The address, or a block that is made from it, is not as it must be."""


@dataclass(frozen=True)
class Address:
    """A repository on GitHub, from where alone Colab opens notebooks."""

    owner: str
    name: str

    @property
    def url(self) -> str:
        """The repository's page."""
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
        AddressError: If it is no such address.
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


def wheel_name(root: Path = ROOT) -> str:
    """The file name of the helpers' wheel, which the site carries (``site_wheel.py``)."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return f"{project['name'].replace('-', '_')}-{project['version']}-py3-none-any.whl"


def install_cell(address: Address | None) -> str:
    """The source of the first code cell of every notebook, which may have come alone.

    The helpers' wheel comes from the site; while that has no address, from beside the notebook.
    """
    start = (
        "# The book's own helpers come first; where they are missing, this installs them.\n"
        "try:\n"
        "    import mnist_helpers\n"
        "except ModuleNotFoundError:\n"
    )
    if address is not None:
        return (
            f"{start}    %pip install --quiet {address.site}{WHEELS}/{wheel_name()}\n"
            "    import mnist_helpers"
        )
    return (
        f"{start}"
        "    from pathlib import Path\n\n"
        '    wheels = sorted(Path().glob("mnist_helpers-*.whl"))\n'
        "    if not wheels:\n"
        "        raise ModuleNotFoundError(\n"
        '            "mnist_helpers is missing. The book has it as a file, a wheel, on its "\n'
        '            "page How to run: put that beside this notebook and run this cell again."\n'
        "        ) from None\n"
        "    %pip install --quiet {wheels[-1]}\n"
        "    import mnist_helpers"
    )


def notebook_paths(root: Path = ROOT) -> list[Path]:
    """Every notebook of the book: in the order of ``_toc.yml``, then the rest by name."""
    rest = {path.stem: path for path in sorted((root / "notebooks").glob("*.ipynb"))}
    toc = root / "_toc.yml"
    listed = re.findall(r"notebooks/([\w-]+)", toc.read_text("utf-8")) if toc.is_file() else []
    ordered = [rest.pop(stem) for stem in dict.fromkeys(listed) if stem in rest]
    return ordered + list(rest.values())


def blocks(address: Address | None, root: Path = ROOT) -> dict[str, str]:
    """What stands in each block, by its name."""
    if address is None:
        # Without an empty address Jupyter Book would point readers at its own repository.
        empty = dict.fromkeys(["urls", "citation", "badges", "colab", "clone"], "")
        return {"config": 'repository:\n  url: ""', **empty}
    chapters = [(path, address.colab(f"notebooks/{path.name}")) for path in notebook_paths(root)]
    badge = f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]"
    runs = f"{address.url}/actions/workflows/test.yml"
    return {
        "urls": f'[project.urls]\nRepository = "{address.url}"\nDocumentation = "{address.site}"',
        "config": f'repository:\n  url: "{address.url}"\n  branch: "{BRANCH}"\n'
        f'  path_to_book: ""\nlaunch_buttons:\n  colab_url: "{COLAB}"',
        "citation": f'repository-code: "{address.url}"\nurl: "{address.site}"',
        "badges": "\n".join(
            [
                f"[Read the book]({address.site})",
                *(f"{badge}({link})" for _, link in chapters[:1]),
                f"[![Tests]({runs}/badge.svg)]({runs})",
            ]
        ),
        "colab": "\n".join(f"- [{_title(path)}]({link})" for path, link in chapters),
        "clone": f"```\ngit clone {address.url}\ncd {address.name}\n```",
    }


def _title(path: Path) -> str:
    first = read_notebook(path.read_text(encoding="utf-8")).cells[0].source
    return str(first.partition("\n")[0].removeprefix("# "))


def renew_blocks(text: str, made: dict[str, str]) -> str:
    """Renew every block between ``address:begin NAME`` and ``address:end`` in a text.

    Raises:
        AddressError: If a block has an unknown name, or no end.
    """

    def renewed(block: re.Match[str]) -> str:
        if block["name"] not in made:
            known = ", ".join(made)
            raise AddressError(f"unknown block {block['name']!r}: the known ones are {known}")
        lines = [f"{block['margin']}{line}".rstrip() for line in made[block["name"]].splitlines()]
        return (
            block["margin"] + block["begin"] + "".join(f"{line}\n" for line in lines) + block["end"]
        )

    result, count = _BLOCK.subn(renewed, text)
    if count != text.count("address:begin "):
        raise AddressError("a block has no line with address:end")
    return result


def renew_install_cell(text: str, address: Address | None) -> str:
    """Renew the install cell of a notebook, given and returned as the text of its file."""
    notebook = read_notebook(text)
    for cell in filter(is_install_cell, notebook.cells):
        if cell.source != install_cell(address):
            cell.source = install_cell(address)
            return dump_notebook(notebook)
    return text


def set_address(address: Address | None, root: Path = ROOT) -> list[Path]:
    """Write the address (None: take it away) to every place; return what changed.

    Nothing is written unless every file can be renewed.

    Raises:
        AddressError: If a block is malformed; the message names its file.
    """
    made = blocks(address, root)
    named = [root / name for name in ("pyproject.toml", "_config.yml", "CITATION.cff")]
    pages = sorted([*root.glob("*.md"), *(root / "book").rglob("*.md")])
    renewed: dict[Path, str] = {}
    for path in [*filter(Path.is_file, named), *pages, *notebook_paths(root)]:
        before = path.read_bytes().decode("utf-8")
        try:
            is_notebook = path.suffix == ".ipynb"
            after = (
                renew_install_cell(before, address) if is_notebook else renew_blocks(before, made)
            )
        except AddressError as error:
            raise AddressError(f"{path.relative_to(root)}: {error}") from None
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
        for path in set_address(address, options.root):
            print(path.relative_to(options.root))
    except AddressError as error:
        print(f"address: {error}", file=sys.stderr)
        return 1
    print("no address is set" if address is None else f"the address is {address.url}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
