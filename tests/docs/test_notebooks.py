"""The notebooks run from their first cell to their last, and the site shows their outputs."""

import base64
import io
import re

import pytest
from PIL import Image

from docs.generate.notebook_pages import notebook_to_pages
from docs.generate.notebooks import FOLDER, code_cells, read_notebook, run_cell, run_notebook

PATHS = sorted(FOLDER.glob("*.ipynb"))


def make_notebook(*sources: str) -> dict:
    """Return a notebook with a heading and cells of code that were not run."""
    cells = [{"cell_type": "markdown", "metadata": {}, "source": ["# Title\n", "Text"]}]
    for source in sources:
        cell = {"cell_type": "code", "metadata": {}, "source": source.splitlines(keepends=True)}
        cells.append(cell | {"outputs": [], "execution_count": None})
    return {"cells": cells}


def shorten(notebook: dict) -> None:
    """Let a notebook train for a few epochs, where it trains for many."""
    for cell in code_cells(notebook):
        source = "".join(cell["source"])
        cell["source"] = [re.sub(r'"epochs": \d+', '"epochs": 4', source)]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, all_images, reader):
    """Every cell runs after those before it, in an empty folder, and gives as many outputs."""
    stored = [len(cell["outputs"]) for cell in code_cells(read_notebook(path))]
    notebook = read_notebook(path)
    shorten(notebook)

    run_notebook(notebook, path.name)

    assert [len(cell["outputs"]) for cell in code_cells(notebook)] == stored


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_becomes_a_page(path):
    """The page begins with a title, and its pictures can be opened."""
    pages = notebook_to_pages(read_notebook(path), path.stem)
    page = pages.pop(f"notebooks/{path.stem}.md")

    assert page.startswith("# ")
    for name, data in pages.items():
        assert f"]({name.removeprefix('notebooks/')})" in page
        Image.open(io.BytesIO(data)).verify()


def test_outputs_are_what_was_printed_and_the_last_value():
    """Text that is printed comes first; a picture is stored as PNG, anything else as text."""
    namespace = {"image": Image.new("RGB", (2, 3))}

    assert run_cell("x = 1", namespace, "test") == []
    assert run_cell("x + 1", namespace, "test")[0]["data"] == {"text/plain": ["2"]}
    assert run_cell("print(x)\nprint(x)", namespace, "test") == [
        {"output_type": "stream", "name": "stdout", "text": ["1\n", "1\n"]}
    ]
    (output,) = run_cell("image", namespace, "test")
    png = base64.b64decode(output["data"]["image/png"])
    assert Image.open(io.BytesIO(png)).size == (2, 3)


def test_a_page_has_text_code_and_outputs(tmp_path):
    """Each stands below what it belongs to."""
    notebook = make_notebook("x = 20", "x + 1")
    run_notebook(notebook, "test")

    assert notebook_to_pages(notebook, "name") == {
        "notebooks/name.md": "# Title\nText\n\n```python\nx = 20\n```\n\n"
        "```python\nx + 1\n```\n\n```text\n21\n```\n"
    }


def test_a_notebook_that_was_not_run_is_no_page():
    """The error says how to run it."""
    with pytest.raises(ValueError, match=r"docs\.generate\.notebooks"):
        notebook_to_pages(make_notebook("x = 20"), "name")


def test_a_picture_has_the_alt_text_of_its_cell():
    """A picture without one is an error."""
    notebook = make_notebook("from PIL import Image\nImage.new('RGB', (2, 3))")
    run_notebook(notebook, "test")

    with pytest.raises(ValueError, match=r"name.ipynb: a picture has no alt text. Fix: "):
        notebook_to_pages(notebook, "name")
    (cell,) = code_cells(notebook)
    cell["metadata"]["alt"] = "A black image"
    pages = notebook_to_pages(notebook, "name")
    assert "![A black image](name_1.png)" in pages["notebooks/name.md"]
