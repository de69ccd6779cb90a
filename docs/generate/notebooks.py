"""The notebooks in docs/notebooks/: their code is run and its output stored, without Jupyter.

    python -m docs.generate.notebooks      run all notebooks in an empty folder, and store outputs

A cell prints text, and the value of its last line is stored with it, as Jupyter stores it: a
picture as PNG, anything else as text. `notebook_pages` shows what is stored.
"""

import ast
import base64
import contextlib
import io
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "notebooks"
Cell = dict[str, Any]  # of nbformat 4
Notebook = dict[str, Any]


def read_notebook(path: Path) -> Notebook:
    """Return a notebook."""
    notebook: Notebook = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def write_notebook(notebook: Notebook, path: Path) -> None:
    """Write a notebook as Jupyter does."""
    text = json.dumps(notebook, indent=1, ensure_ascii=False)
    path.write_text(f"{text}\n", encoding="utf-8")


def run_notebook(notebook: Notebook, name: str) -> None:
    """Run all code cells in the current folder, in one namespace, and store their outputs.

    Args:
        notebook: is changed
        name: what tracebacks call it
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(code_cells(notebook), 1):
        cell["outputs"] = run_cell("".join(cell["source"]), namespace, f"{name}, cell {number}")
        cell["execution_count"] = number


def code_cells(notebook: Notebook) -> Iterator[Cell]:
    """Yield the cells that have code."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            yield cell


def run_cell(source: str, namespace: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Run the code of one cell and return its outputs, in the format of notebooks."""
    tree = ast.parse(source, name)
    last_value = None
    last_line = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, name, "exec"), namespace)  # noqa: S102, notebooks of our own
        if isinstance(last_line, ast.Expr):
            expression = ast.Expression(last_line.value)
            last_value = eval(compile(expression, name, "eval"), namespace)  # noqa: S307, likewise
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        lines = printed.getvalue().splitlines(keepends=True)
        outputs.append({"output_type": "stream", "name": "stdout", "text": lines})
    if last_value is not None:
        outputs.append(
            {"output_type": "display_data", "metadata": {}, "data": describe_value(last_value)}
        )
    return outputs


def describe_value(value: Any) -> dict[str, Any]:
    """Return a value as notebooks store it: a picture by its PNG, anything else by its text."""
    if hasattr(value, "_repr_png_"):
        png = base64.b64encode(value._repr_png_()).decode()
        return {"image/png": png, "text/plain": ["A picture"]}
    return {"text/plain": repr(value).splitlines(keepends=True)}


def main() -> None:
    """Run every notebook in a folder of its own and store its outputs."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        notebook = read_notebook(path)
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            os.environ["CNLW_CACHE"] = folder
            run_notebook(notebook, path.name)
        write_notebook(notebook, path)


if __name__ == "__main__":
    main()
