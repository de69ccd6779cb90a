"""The pages of benchmarks/README.md: each heading of level 2 begins a page of its own.

The index is what stands above the first of these headings. On its page, a heading is one level
higher than in the file.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE = "benchmarks/README.md"
FOLDER = "project/benchmarks"
INDEX = f"{FOLDER}/index.md"
PAGES: Mapping[str, str] = {  # heading of level 2 -> page
    "Starting and building": f"{FOLDER}/building.md",
    "Many rows, clusters and remote storage": f"{FOLDER}/rows.md",
    "Published splits compared with TensorFlow Datasets": f"{FOLDER}/published_splits.md",
    "Training": f"{FOLDER}/training.md",
    "Fetching": f"{FOLDER}/fetching.md",
    "Faults": f"{FOLDER}/faults.md",
}
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)


def make_pages() -> dict[str, str]:
    """Return the index and the page of each part."""
    return dict(split_pages((ROOT / FILE).read_text(encoding="utf-8")))


@cache
def find_pages() -> Mapping[str, str]:
    """Return the page of the file and of each of its headings, `FILE#ANCHOR`.

    The page of a heading of level 3 ends with its anchor.

    Raises:
        ValueError: two headings have the same anchor
    """
    pages = {FILE: INDEX}
    for page, text in make_pages().items():
        for marks, title in HEADING.findall(text):
            name = f"{FILE}#{make_anchor(title)}"
            if name in pages:
                raise ValueError(f"{FILE}: two headings {title!r}: rename one")
            pages[name] = page if marks == "#" else f"{page}#{make_anchor(title)}"
    return pages


def split_pages(text: str) -> Mapping[str, str]:
    """Return the parts of a text by their pages.

    Raises:
        ValueError: a heading has no page, a page has no heading, or a heading occurs twice
    """
    index, *parts = re.split(r"^## ", text, flags=re.MULTILINE)
    pages = {INDEX: index}
    for part in parts:
        title = part.partition("\n")[0]
        if title not in PAGES:
            raise ValueError(
                f"{FILE}: the heading {title!r} has no page: make it one of level 3, or add it to "
                "PAGES of docs/generate/benchmark_pages.py"
            )
        if PAGES[title] in pages:
            raise ValueError(f"{FILE}: two headings {title!r}: rename one")
        pages[PAGES[title]] = re.sub(r"^#(#+ )", r"\1", f"## {part}", flags=re.MULTILINE)
    missing = [title for title, page in PAGES.items() if page not in pages]
    if missing:
        raise ValueError(
            f"{FILE}: it has no heading {missing[0]!r}: correct PAGES of "
            "docs/generate/benchmark_pages.py"
        )
    return pages


def make_anchor(title: str) -> str:
    """Return the anchor of a heading, as the site and GitHub make it."""
    return re.sub(r"[^\w\s-]", "", title.lower()).strip().replace(" ", "-")
