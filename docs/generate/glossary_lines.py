"""A line on pages that use words of the glossary and do not link to it."""

import posixpath
import re
from collections.abc import Mapping

GLOSSARY = "glossary.md"
# The words that a reader from outside is least likely to know come first.
WORDS = (
    "slot",
    "reserve",
    "donor",
    "ledger",
    "candidate",
    "verdict",
    "pool",
    "probe",
    "holdout",
    "recipe",
    "build",
    "config",
    "level",
    "preset",
    "plan",
    "store",
    "manifest",
    "card",
    "study",
)
N_WORDS = 3
WITHOUT_LINE = ("index.md", GLOSSARY, "project/changelog.md", "project/citation.md")
CODE_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
PARAGRAPH = re.compile(r"[A-Z`\[]")  # its first letter


def add_glossary_lines(pages: Mapping[str, str]) -> dict[str, str]:
    """Return the pages that now say where their words are explained.

    Args:
        pages: text of each page, by its path from the root of the site
    """
    changed = {}
    for page, text in pages.items():
        words = [] if page in WITHOUT_LINE or GLOSSARY in text else find_words(text)
        if words:
            changed[page] = _insert(text, _line(page, words))
    return changed


def find_words(text: str) -> list[str]:
    """Return the first few words of `WORDS` that a page uses outside its blocks of code."""
    prose = CODE_BLOCK.sub("", text)
    found = [word for word in WORDS if re.search(rf"\b{word}s?\b", prose)]
    return found[:N_WORDS]


def _line(page: str, words: list[str]) -> str:
    address = posixpath.relpath(GLOSSARY, posixpath.dirname(page) or ".")
    *first, last = [f"*{word}*" for word in words]
    listed = f"{', '.join(first)} and {last}" if first else last
    return f"The [glossary]({address}) explains words such as {listed}."


def _insert(text: str, line: str) -> str:
    """Return a page with a line after the paragraph below its heading, or after the heading.

    Nothing stands between a paragraph and the block that it introduces.
    """
    heading, separator, rest = text.partition("\n\n")
    first, _, others = rest.partition("\n\n")
    introduces = first.rstrip().endswith(":") or others.startswith(("```", "|", "- "))
    if not PARAGRAPH.match(first) or first.startswith("```") or introduces:
        return f"{heading}\n\n{line}{separator}{rest}"
    return f"{heading}\n\n{first}\n\n{line}\n\n{others}"
