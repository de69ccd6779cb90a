"""Links between files of the repository, which lead to the pages that the site has of them.

Pages by hand, notebooks and other Markdown files of the repository link to files, so that their
links work where the repository is shown. `PAGE_OF_FILE` and `find_pages` say which page the site
has of a file: of the module of a method, say, the page of that method.
"""

import posixpath
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from cnlw_tools.methods import METHODS
from cnlw_tools.noise import NOISE
from docs.generate import (
    api_pages,
    benchmark_pages,
    cli_pages,
    method_pages,
    noise_pages,
    notebooks,
    project_pages,
)

ROOT = Path(__file__).parents[2]
DOCS = "docs/"
PAGE_OF_FILE: Mapping[str, str] = {  # of pages that are made from more than one file
    "cnlw_tools/api.py": "reference/api/index.md",
    "cnlw_tools/checks/__init__.py": "reference/checks.md",
    "cnlw_tools/cli": "reference/cli/index.md",
    "cnlw_tools/dataset/tables.py": "reference/columns.md",
    "cnlw_tools/methods": "reference/methods/index.md",
    "cnlw_tools/methods/components": method_pages.PARTS,
    "cnlw_tools/noise": "reference/noise/index.md",
    "cnlw_tools/recipe/run_files.py": "reference/run_files.md",
    "cnlw_tools/sources": "reference/sources.md",
    "cnlw_tools/store/store.py": "reference/store.md",
    "cnlw_tools/trainer/nets": "reference/networks.md",
    "docs/generate/message_pages.py": "reference/messages.md",
    "CITATION.cff": "project/citation.md",
}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
SPLIT = (benchmark_pages.FILE,)  # files with a page for each of their parts
ELSEWHERE = re.compile(r"[a-z]+:")


@cache
def find_pages() -> Mapping[str, str]:
    """Return the page of each file and folder of the repository that the site has as a page.

    A module that has several methods, noise models or commands leads to the page of the first;
    `FILE#NAME` leads to that of a method or a noise model, `cnlw_tools/api.py#NAME` to the section
    of a public name, and `benchmarks/README.md#ANCHOR` to the part with this heading.
    """
    pages = {**PAGE_OF_FILE, **project_pages.find_pages(), **benchmark_pages.find_pages()}
    for path in sorted((ROOT / DOCS).rglob("*")):
        name = path.relative_to(ROOT).as_posix()
        if path.suffix in (".md", ".png"):
            pages[name] = name.removeprefix(DOCS)
    for path in sorted(notebooks.FOLDER.glob("*.ipynb")):
        pages[path.relative_to(ROOT).as_posix()] = f"notebooks/{path.stem}.md"
    for name in METHODS:
        file = _file_of(METHODS.target(name).partition(":")[0])
        page = f"{method_pages.FOLDER}/{name}.md"
        pages.setdefault(file, page)
        pages[f"{file}#{name}"] = page
    for name, model in NOISE.items():
        file = _file_of(model.draw.__module__)
        page = f"{noise_pages.FOLDER}/{name}.md"
        pages.setdefault(file, page)
        pages[f"{file}#{name}"] = page
    for name, section in api_pages.find_sections():
        pages[f"cnlw_tools/api.py#{name}"] = section
    for module, page in cli_pages.page_of_modules():
        pages.setdefault(_file_of(module), page)
    return pages


def _file_of(module: str) -> str:
    return f"{module.replace('.', '/')}.py"


def rewrite_links(text: str, file: str, page: str) -> str:
    """Return the text of a file as that of its page; links to files that are no page become words.

    Args:
        text: Markdown
        file: where it stands, from the root of the repository
        page: from the root of the site

    Raises:
        ValueError: a link leads to no file
    """
    parts = FENCE.split(text)
    for i in range(0, len(parts), 2):  # every second part is a block of code
        parts[i] = LINK.sub(_rewrite(file, page), parts[i])
    return "".join(parts)


def _rewrite(file: str, page: str) -> Callable[[re.Match[str]], str]:
    """Return a function that replaces a link of a file by that of its page."""
    page_folder = posixpath.dirname(page) or "."
    pages = find_pages()

    def rewrite(match: re.Match[str]) -> str:
        mark, words, address = match.groups()
        if ELSEWHERE.match(address) or (address.startswith("#") and file not in SPLIT):
            return match[0]
        linked, hash_sign, anchor = _find_file(address, file).partition("#")
        if f"{linked}{hash_sign}{anchor}" in pages:
            target = pages[f"{linked}{hash_sign}{anchor}"]
        elif linked in SPLIT:
            raise ValueError(f"{file}: {linked} has no heading {anchor}: correct the link")
        elif linked in pages:
            target = f"{pages[linked]}{hash_sign}{anchor}"
        else:
            return words
        return f"{mark}[{words}]({posixpath.relpath(target, page_folder)})"

    return rewrite


def _find_file(address: str, file: str) -> str:
    """Return the path that a link of a file leads to, from the root of the repository.

    A link to a folder leads to its README, if it has one.
    """
    path, hash_sign, anchor = address.partition("#")
    linked = posixpath.normpath(posixpath.join(posixpath.dirname(file), path)) if path else file
    if not (ROOT / linked).exists():
        raise ValueError(f"{file}: there is no {linked}: correct the link")
    if (ROOT / linked / "README.md").exists():
        linked = f"{linked}/README.md"
    return f"{linked}{hash_sign}{anchor}"
