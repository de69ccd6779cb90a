"""Links work in the repository and on the site: they lead to files that the site has as pages."""

import pytest

from docs.generate import links

PAGES = links.find_pages()
FILES = [name for name in PAGES if name.endswith(".md")]


@pytest.mark.parametrize("file", FILES)
def test_links_lead_somewhere(file: str) -> None:
    """A link leads to a file; of a page by hand, to one that the site has as a page."""
    text = (links.ROOT / file).read_text(encoding="utf-8")
    rewritten = links.rewrite_links(text, file, PAGES[file])

    if file.startswith("docs/"):
        assert len(links.LINK.findall(rewritten)) == len(links.LINK.findall(text))


def test_every_page_of_a_file_is_made_of_one_that_exists() -> None:
    """The table has no file that was moved."""
    files = {name.partition("#")[0] for name in PAGES}

    assert [name for name in files if not (links.ROOT / name).exists()] == []


def test_a_link_leads_to_the_page_of_a_file() -> None:
    """Modules, folders and READMEs become pages; a file that is no page becomes its words."""
    text = (
        "[a](../../cnlw_tools/methods/mentormix.py) [b](../../cnlw_tools/noise)\n"
        "[c](../../benchmarks/studies#scales) [d](../../cnlw_tools/prng.py) [e](#here) [f](training.md)\n"
    )

    assert links.rewrite_links(text, "docs/guides/web_images.md", "guides/web_images.md") == (
        "[a](../reference/methods/mentormix.md) [b](../reference/noise/index.md)\n"
        "[c](../studies/index.md#scales) d [e](#here) [f](training.md)\n"
    )


def test_code_is_no_link() -> None:
    """A block of code stays as it is."""
    text = "```python\nrows[0](gone)\n```\n"

    assert links.rewrite_links(text, "docs/index.md", "index.md") == text


def test_a_link_to_no_file_is_an_error() -> None:
    """It names the page and the file."""
    with pytest.raises(ValueError, match=r"docs/index\.md: there is no docs/gone\.md"):
        links.rewrite_links("[a](gone.md)", "docs/index.md", "index.md")


def test_a_module_of_several_leads_to_the_one_that_is_named() -> None:
    """To the first, if none is named."""
    text = "[a](../cnlw_tools/noise/given.py) [b](../cnlw_tools/noise/given.py#semantic)"

    assert links.rewrite_links(text, "docs/index.md", "index.md") == (
        "[a](reference/noise/human.md) [b](reference/noise/semantic.md)"
    )
    assert links.rewrite_links("[a](../cnlw_tools/api.py#plan)", "docs/index.md", "index.md") == (
        "[a](reference/api/builds.md#plan)"
    )
    assert PAGES["cnlw_tools/cli/build.py"] == "reference/cli/build.md"
    assert PAGES["docs/notebooks/build_and_look.ipynb"] == "notebooks/build_and_look.md"
