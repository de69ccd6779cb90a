"""The figures of benchmarks/README.md are shown on several pages, and links find them."""

import re

import pytest

from docs.generate import benchmark_pages, links, site

FILE = benchmark_pages.FILE
PAGES = {"One": "one.md", "Two": "two.md"}
TEXT = "# All\n\nSee [two](#two).\n\n## One\n\nA.\n\n### First\n\nB.\n\n## Two\n\nC.\n"


@pytest.fixture
def two_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose headings have two pages."""
    monkeypatch.setattr(benchmark_pages, "PAGES", PAGES)


@pytest.mark.usefixtures("two_pages")
def test_each_heading_begins_a_page():
    """Headings are one level higher there; what stands above the first heading is the index."""
    assert benchmark_pages.split_pages(TEXT) == {
        benchmark_pages.INDEX: "# All\n\nSee [two](#two).\n\n",
        "one.md": "# One\n\nA.\n\n## First\n\nB.\n\n",
        "two.md": "# Two\n\nC.\n",
    }


@pytest.mark.usefixtures("two_pages")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT + "\n## Three\n", "the heading 'Three' has no page: make it one of level 3, or add"),
        (TEXT + "\n## One\n", "two headings 'One': rename one"),
        ("# All\n\n## One\n", "it has no heading 'Two': correct PAGES of docs/generate/"),
    ],
)
def test_a_heading_without_a_page_is_an_error(text, message):
    """Its figures would be missing from the site, as would be those of a repeated heading."""
    with pytest.raises(ValueError, match=f"^{re.escape(f'{FILE}: {message}')}"):
        benchmark_pages.split_pages(text)


def test_no_text_is_lost():
    """The pages together have every line of the file."""
    text = (benchmark_pages.ROOT / FILE).read_text(encoding="utf-8")
    pages = "".join(benchmark_pages.make_pages().values())

    assert pages.replace("#", "") == text.replace("#", "")


def test_links_to_headings_lead_to_their_pages():
    """From the file itself and from others, also where the folder stands for the file."""
    index = links.rewrite_links("[a](#training) [b](#two-nodes)", FILE, benchmark_pages.INDEX)
    part = links.rewrite_links("[a](#faults)", FILE, benchmark_pages.PAGES["Training"])
    guide = links.rewrite_links(
        "[a](../../benchmarks/README.md#faults) [b](../../benchmarks#two-nodes)",
        "docs/guides/scale.md",
        "guides/scale.md",
    )

    assert index == "[a](training.md) [b](training.md#two-nodes)"
    assert part == "[a](faults.md)"
    assert guide == (
        "[a](../project/benchmarks/faults.md) [b](../project/benchmarks/training.md#two-nodes)"
    )


def test_a_link_to_no_heading_is_an_error():
    """It would lead to the index, which says nothing of it."""
    with pytest.raises(ValueError, match=r"docs/index\.md: benchmarks/README\.md has no .* gone"):
        links.rewrite_links("[a](../benchmarks/README.md#gone)", "docs/index.md", "index.md")


def test_the_index_leads_to_every_page():
    """Each row of its table names the page that has the measurement."""
    text = benchmark_pages.make_pages()[benchmark_pages.INDEX]
    index = links.rewrite_links(text, FILE, benchmark_pages.INDEX)

    for page in benchmark_pages.PAGES.values():
        assert f"({page.rpartition('/')[2]})" in index


def test_links_on_the_pages_are_those_of_the_site():
    """A link of the file is rewritten for the folder of its page."""
    pages = site.rewrite_pages(site.read_own_pages() | site.generate_pages())

    rows = pages[benchmark_pages.PAGES["Many rows, clusters and remote storage"]]
    assert "[Millions of rows](../../guides/scale.md)" in rows
    assert "[Planted mistakes](../mutants.md)" in pages[benchmark_pages.PAGES["Faults"]]
