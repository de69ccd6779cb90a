"""Pages say where their words are explained."""

import re
from pathlib import Path

import pytest

from docs.generate import glossary_lines

DOCS = Path(__file__).parents[2] / "docs"
PAGE = "# Fetch\n\nIt fills a store.\n\n## Dead links\n\nA reserve takes the slot.\n"


def test_the_line_comes_after_the_first_paragraph():
    """It names the least known words that the page uses, and leads to the glossary."""
    pages = glossary_lines.add_glossary_lines({"guides/fetch.md": PAGE})

    line = "The [glossary](../glossary.md) explains words such as *slot*, *reserve* and *store*."
    assert pages == {"guides/fetch.md": PAGE.replace("store.\n", f"store.\n\n{line}\n", 1)}


@pytest.mark.parametrize("introduction", ["", "It does this:\n\n", "It does this.\n\n"])
def test_the_line_does_not_part_code_from_its_introduction(introduction):
    """It then comes right after the heading."""
    page = f"# Pool\n\n{introduction}```\ncnlw build\n```\n\nA pool has images.\n"

    (text,) = glossary_lines.add_glossary_lines({"pool.md": page}).values()

    assert text.startswith("# Pool\n\nThe [glossary](glossary.md) explains words such as *pool*.\n")
    assert text.endswith(page.removeprefix("# Pool\n\n"))


def test_pages_that_need_no_line_stay():
    """One links to the glossary, one is the glossary, and one has no such word outside its code."""
    pages = {
        "a.md": PAGE + "See the [glossary](glossary.md).\n",
        "glossary.md": PAGE,
        "b.md": "# Run\n\nType this:\n\n```\ncnlw build\n```\n",
    }

    assert glossary_lines.add_glossary_lines(pages) == {}


def test_the_glossary_explains_each_word():
    """A line that leads to no explanation would be worse than none."""
    explained = re.findall(
        r"^\| \*\*(.+?)\*\* \|", (DOCS / "glossary.md").read_text(), re.MULTILINE
    )

    assert set(glossary_lines.WORDS) <= set(explained)
