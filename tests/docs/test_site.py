"""Navigation and pages agree."""

import pytest
import yaml

from docs.generate import site

PAGES = {"index.md": "# Home\n", "ref/index.md": "# Reference\n", "ref/b.md": "# Method: b\n"}


def test_a_folder_stands_for_its_pages():
    """The index comes first; a title loses the kind of the page."""
    entries = site.expand_navigation(["index.md", {"Reference": "ref/*"}], PAGES)

    assert entries == ["index.md", {"Reference": ["ref/index.md", {"b": "ref/b.md"}]}]
    site.check_navigation(entries, PAGES)


def test_a_page_outside_the_navigation_is_an_error():
    """It would be built, and nobody would find it."""
    with pytest.raises(ValueError, match=r"it lacks ref/b\.md: add it to docs/mkdocs\.yml"):
        site.check_navigation(["index.md", "ref/index.md"], PAGES)


def test_a_navigation_to_no_page_is_an_error():
    """The site builder would pass over it."""
    with pytest.raises(ValueError, match=r"there is no page gone\.md"):
        site.check_navigation([*PAGES, "gone.md"], PAGES)


def test_a_page_stands_in_the_navigation_once():
    """Otherwise two entries would be shown as the current one."""
    with pytest.raises(ValueError, match=r"index\.md stands in it twice"):
        site.check_navigation([*PAGES, "index.md"], PAGES)


def test_pages_by_hand_are_found():
    """Settings and generators are no pages."""
    names = set(site.read_own_pages())

    assert {"index.md", "glossary.md", "concepts/noise.md", "assets/site.css"} <= names
    assert not [name for name in names if name.endswith((".py", ".yml"))]


def test_pages_by_hand_are_in_the_navigation():
    """A guide that is not there would fail `make docs`."""
    settings = yaml.safe_load((site.DOCS / site.SETTINGS).read_text(encoding="utf-8"))
    paths = set(site._navigation_paths(settings["nav"]))
    pages = {name for name in site.read_own_pages() if name.endswith(".md")}

    assert pages <= paths
