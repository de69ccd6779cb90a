"""The folder that the site builder reads: pages by hand, generated pages, and the settings.

FOLDER/mkdocs.yml    the settings of docs/mkdocs.yml, with the navigation written out
FOLDER/pages/        every page and picture
"""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from docs.generate import (
    api_pages,
    benchmark_pages,
    check_pages,
    cli_pages,
    file_pages,
    glossary_lines,
    links,
    message_pages,
    method_pages,
    noise_pages,
    notebook_pages,
    project_pages,
    source_pages,
)

DOCS = Path(__file__).parents[1]
SETTINGS = "mkdocs.yml"
NOT_PAGES = ("generate", "notebooks", SETTINGS)  # in docs/
GENERATORS = (
    api_pages.make_pages,
    benchmark_pages.make_pages,
    check_pages.make_pages,
    cli_pages.make_pages,
    file_pages.make_pages,
    message_pages.make_pages,
    method_pages.make_pages,
    noise_pages.make_pages,
    notebook_pages.make_pages,
    project_pages.make_pages,
    source_pages.make_pages,
)
Pages = dict[str, str | bytes]  # path of a page or picture from the root of the site -> content


def write_site(folder: Path) -> int:
    """Write all that the site builder reads into a folder, anew; return the number of pages.

    Raises:
        ValueError: the pages and the navigation differ, or a link is broken
    """
    pages = read_own_pages() | generate_pages()
    pages |= rewrite_pages(pages)
    pages |= glossary_lines.add_glossary_lines(_texts(pages))
    settings = yaml.safe_load((DOCS / SETTINGS).read_text(encoding="utf-8"))
    settings["nav"] = expand_navigation(settings["nav"], pages)
    check_navigation(settings["nav"], pages)
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in pages.items():
        path = folder / "pages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        path.write_bytes(data)
    text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
    (folder / SETTINGS).write_text(text, encoding="utf-8")
    return sum(name.endswith(".md") for name in pages)


def read_own_pages() -> Pages:
    """Return the pages and pictures in docs/ that are written by hand."""
    pages: Pages = {}
    for path in sorted(DOCS.rglob("*")):
        name = path.relative_to(DOCS)
        if path.is_file() and name.parts[0] not in NOT_PAGES:
            pages[name.as_posix()] = path.read_bytes()
    return pages


def generate_pages() -> Pages:
    """Return the pages and pictures that are made from code, tables and files of the project.

    Raises:
        ValueError: two generators make the same page
    """
    pages: Pages = {}
    for generate in GENERATORS:
        made = generate()
        twice = sorted(pages.keys() & made.keys())
        if twice:
            raise ValueError(f"{', '.join(twice)}: two generators make this page: rename one")
        pages.update(made)
    return pages


def rewrite_pages(pages: Pages) -> dict[str, str]:
    """Return the pages that show a file of the repository, with links to pages of the site.

    Raises:
        ValueError: a link leads to no file
    """
    rewritten = {}
    for file, page in links.find_pages().items():
        path = file.partition("#")[0]
        if path.endswith(".md") and "#" not in page:
            content = pages[page]
            text = content if isinstance(content, str) else content.decode()
            rewritten[page] = links.rewrite_links(text, path, page)
    return rewritten


def _texts(pages: Pages) -> dict[str, str]:
    """Return the text of each page; pictures are left out."""
    texts = {}
    for page, content in pages.items():
        if page.endswith(".md"):
            texts[page] = content if isinstance(content, str) else content.decode()
    return texts


def expand_navigation(entries: Iterable[Any], pages: Mapping[str, Any]) -> list[Any]:
    """Return the navigation in which `FOLDER/*` stands for the pages of a folder.

    Args:
        entries: as mkdocs.yml has them: a path, or a mapping of a title to a path or to entries
        pages: by path

    The first page is the index of the folder; the others stand in the order of their names.
    """
    expanded: list[Any] = []
    for entry in entries:
        if isinstance(entry, dict):
            for title, value in entry.items():
                below = [value] if isinstance(value, str) else value
                inner = expand_navigation(below, pages)
                is_page = isinstance(value, str) and not value.endswith("/*")
                expanded.append({title: value if is_page else inner})
        elif entry.endswith("/*"):
            expanded += _pages_of_folder(entry.removesuffix("*"), pages)
        else:
            expanded.append(entry)
    return expanded


def _pages_of_folder(folder: str, pages: Mapping[str, Any]) -> list[Any]:
    """Return the entries of the pages right below a folder, its index first."""
    names = [name for name in pages if name.startswith(folder) and name.endswith(".md")]
    direct = sorted(name for name in names if "/" not in name.removeprefix(folder))
    index = f"{folder}index.md"
    entries: list[Any] = [index] if index in direct else []
    for name in direct:
        if name != index:
            entries.append({_short_title(name, pages[name]): name})
    return entries


def _short_title(name: str, content: str | bytes) -> str:
    """Return the heading of a page as it stands in the navigation, without `Noise:` and such."""
    text = content if isinstance(content, str) else content.decode()
    first_line = text.partition("\n")[0].removeprefix("# ")
    title = first_line.partition(": ")[2] or first_line
    return title or Path(name).stem


def check_navigation(entries: Iterable[Any], pages: Mapping[str, Any]) -> None:
    """Compare the navigation with the pages.

    Raises:
        ValueError: a page stands in none of its entries, in two of them, or does not exist
    """
    paths = list(_navigation_paths(entries))
    twice = sorted({path for path in paths if paths.count(path) > 1})
    missing = sorted(set(paths) - pages.keys())
    documents = {name for name in pages if name.endswith(".md")}
    forgotten = sorted(documents - set(paths))
    if missing:
        raise ValueError(
            f"navigation: there is no page {', '.join(missing)}: write it, or remove it"
        )
    if forgotten:
        raise ValueError(f"navigation: it lacks {', '.join(forgotten)}: add it to docs/{SETTINGS}")
    if twice:
        raise ValueError(f"navigation: {', '.join(twice)} stands in it twice: remove one")


def _navigation_paths(entries: Iterable[Any]) -> Iterable[str]:
    """Yield the path of every page in a navigation."""
    for entry in entries:
        if isinstance(entry, dict):
            for value in entry.values():
                yield from _navigation_paths([value] if isinstance(value, str) else value)
        else:
            yield entry
