"""A page for every notebook: its text, its code, and the outputs that are stored in it."""

import base64
from typing import Any

from docs.generate import links
from docs.generate.markdown import fence
from docs.generate.notebooks import FOLDER, Notebook, read_notebook


def make_pages() -> dict[str, str | bytes]:
    """Return the notebooks as pages, with their pictures."""
    pages: dict[str, str | bytes] = {}
    for path in sorted(FOLDER.glob("*.ipynb")):
        pages |= notebook_to_pages(read_notebook(path), path.stem)
    return pages


def notebook_to_pages(notebook: Notebook, name: str) -> dict[str, str | bytes]:
    """Return the page of a notebook and its pictures, by their paths on the site.

    Raises:
        ValueError: a cell of code was not run, a picture has no alt text, or a link leads to no
            file
    """
    parts = []
    pages: dict[str, str | bytes] = {}
    page = f"notebooks/{name}.md"
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            text = links.rewrite_links(source, f"docs/notebooks/{name}.ipynb", page)
            parts.append(f"{text}\n")
            continue
        if cell["execution_count"] is None:
            raise ValueError(f"{name}.ipynb: no outputs: run `python -m docs.generate.notebooks`")
        parts.append(fence(source, "python"))
        for output in cell["outputs"]:
            parts.append(_show_output(output, name, pages, cell["metadata"].get("alt", "")))
    pages[page] = "\n".join(parts)
    return pages


def _show_output(
    output: dict[str, Any],
    name: str,
    pages: dict[str, str | bytes],
    alt: str,
) -> str:
    """Return an output as Markdown; a picture is added to the pages.

    Args:
        output: of a cell of code
        name: of the notebook
        pages: is changed
        alt: what a picture shows, in words
    """
    if output["output_type"] == "stream":
        return fence("".join(output["text"]))
    picture = output["data"].get("image/png")
    if picture is None:
        return fence("".join(output["data"]["text/plain"]))
    if not alt:
        raise ValueError(
            f"{name}.ipynb: a picture has no alt text. Fix: write it into the metadata of its cell, "
            "under the key `alt`"
        )
    file = f"{name}_{len(pages) + 1}.png"
    pages[f"notebooks/{file}"] = base64.b64decode("".join(picture))
    return f"![{alt}]({file})\n"
