"""Pages of what is written to disk: columns of a build, files of a run, store and ledger."""

import ast
import re
from collections.abc import Mapping

from cnlw_tools.builds.parquet import FIELDS
from cnlw_tools.store.outcomes import OUTCOMES
from cnlw_tools.store.store import COLUMN_OF_FIELD
from docs.generate.markdown import code, docstring_to_markdown, escape, fence, heading, table
from docs.generate.source_code import module_docstring, parse_module, read_fields, read_source

COLUMNS: Mapping[str, str] = {
    "image": "the picture, 8-bit RGB",
    "label": "the label that the learner gets",
    "clean_label": "the true class; empty if nobody knows it, as for a wrong web image",
    "is_noisy": "true if the label is wrong for the image, or if the true class is unknown",
    "origin": "where the image comes from: the dataset itself (`base`), a web search (`web`), another "
    "dataset (`other`), or pictures of white noise (`white`)",
    "image_id": "the id of the image in the manifest",
    "replaces": "the id of the original image that this one replaces; empty if it replaces none",
}
NOTES: Mapping[str, str] = {  # below the table of a schema
    "MANIFEST": "If a dataset is published as arrays of pixels, or a file is not 8-bit RGB, the "
    "column `sha256` has the sha256 of the RGB pixels.\n\n",
    "VOTES": "A verdict that somebody published is stored as one vote of the annotator `consensus`. "
    "Votes may also have the column `seconds` (float32), which says how long the picture was in view "
    "before the vote.\n\n",
}
SCHEMAS: Mapping[str, str] = {
    "MANIFEST": "Manifest: the images of a dataset",
    "VOTES": "Votes: the answers of people about web images",
    "PLAN": "Plan: the image and the label that the learner gets in each slot",
    "RUNS": "Runs: the results in a report (`runs.parquet`)",
    "PUBLISHED_SPLITS": "Published splits: the images that Jiang et al. (2020) used",
    "CLASSES": "Class list",
}
TABLES = "cnlw_tools.dataset.tables"


def make_pages() -> dict[str, str]:
    """Return the three pages."""
    return {
        "reference/columns.md": _columns_page(),
        "reference/run_files.md": _run_page(),
        "reference/store.md": _store_page(),
    }


def _columns_page() -> str:
    text = heading("Columns of a build and of the tables")
    text += heading("A build", 2)
    text += (
        "`datasets.load_dataset` reads the folder of a build. Only `image` and `label` are for "
        "the learner. The other columns say what the true class is and where the image comes from; "
        "they are for evaluation only. There is one exception: in the split `verified`, a method "
        "may also use `is_noisy`. The [glossary](../glossary.md) explains words such as *slot* and "
        "*config*.\n\n"
    )
    rows = []
    for field in FIELDS:
        kind = "image" if field.name == "image" else str(field.type)
        rows.append([code(field.name), kind, COLUMNS[field.name]])
    text += table(["column", "type", "meaning"], rows)
    for name, title in SCHEMAS.items():
        text += heading(title, 2)
        rows = [
            [code(column), kind, empty, escape(note)] for column, kind, empty, note in _schema(name)
        ]
        text += table(["column", "type", "may be empty", "meaning"], rows) + NOTES.get(name, "")
    return text


def _schema(name: str) -> list[tuple[str, str, str, str]]:
    """Return the columns of a schema of dataset/tables.py: name, type, may be empty, comment."""
    lines = read_source(TABLES).splitlines()
    columns = []
    for node in parse_module(TABLES).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            for call in ast.walk(node):
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "pa.field":
                    comment = lines[call.lineno - 1].partition("  # ")[2]
                    kind = re.sub(r"pa\.|_?\(\)|'", "", ast.unparse(call.args[1])).lower()
                    is_required = any(word.arg == "nullable" for word in call.keywords)
                    column = str(ast.literal_eval(call.args[0]))
                    columns.append((column, kind, "" if is_required else "yes", comment))
    return columns


def _run_page() -> str:
    text = heading("Files of a run")
    text += (
        "In a run, one method is trained once, on one config and with one seed. `cnlw train` and "
        "`cnlw sweep` write a folder for each run. `cnlw report FOLDER` reads all runs in FOLDER and its subfolders. "
        "The accuracies in `result.json` refer to the *reported* epochs. These are all epochs, or, if a method trains in "
        "stages, the epochs of its last stage.\n\n"
    )
    listing = module_docstring("cnlw_tools.trainer.run").split("\n\n")[1]
    text += fence(listing) + "\n"
    text += heading("config.json", 2) + "This file holds the settings of the run.\n\n"
    text += _field_table("cnlw_tools.recipe.run_files", "RunConfig")
    text += heading("metrics.jsonl", 2)
    text += (
        "The file has one line for each epoch. A line is a JSON object with `epoch`, `seconds`, "
        "`train_loss`, `val_top1`, `lr` (the learning rate) and further measurements.\n\n"
    )
    text += heading("result.json", 2)
    text += (
        "This file is written at the end of the run. It holds top-1 accuracies on the validation set "
        "in percent.\n\n"
    )
    text += _field_table("cnlw_tools.recipe.run_files", "Summary")
    text += (
        "The file also holds `epochs`, the number of epochs, and `reported_epochs`, the number of "
        "reported epochs. Some datasets have a second validation split. For it, the file holds an "
        "object with the same three accuracies, under a key such as `val_ilsvrc12_top1`.\n\n"
    )
    text += heading("examples.parquet", 2)
    text += (
        "These files have one line for each training example and epoch. To see which labels are wrong, "
        "use the column `row` to look up `is_noisy` and `clean_label` in the [build](columns.md).\n\n"
    )
    return text + table(["column", "meaning"], EXAMPLE_ROWS)


EXAMPLE_ROWS = [
    ["`epoch`", "the epoch, counted from 1"],
    [
        "`row`",
        "the number of the example in the split of the build, counted from 0",
    ],
    ["`loss`", "the cross-entropy of the given label; empty if none was recorded in this epoch"],
    [
        "`weight`",
        "the weight that the method gives the example, from 0 (the label is treated as wrong) to 1 "
        "(the example counts in full)",
    ],
    [
        "`own`",
        "1 if the method learned from the given label, 0 if it learned from another label; empty for "
        "methods that never replace labels",
    ],
]


def _field_table(module: str, name: str) -> str:
    rows = []
    for field in read_fields(module, name):
        rows.append([code(field.name), code(field.type), escape(field.comment)])
    return table(["key", "type", "meaning"], rows)


def _store_page() -> str:
    title, _, rest = module_docstring("cnlw_tools.store.store").partition("\n")
    text = heading("The image store and its ledger")
    text += f"{escape(title)}\n\n{docstring_to_markdown(rest)}\n"
    text += (
        heading("The ledger", 2)
        + "The ledger has one row for each image id whose URL has an outcome.\n\n"
    )
    rows = []
    for field in read_fields("cnlw_tools.store.store", "Row"):
        column = COLUMN_OF_FIELD.get(field.name, field.name)
        rows.append([code(column), code(field.type), escape(field.comment)])
    text += table(["column", "type", "meaning"], rows)
    text += heading("Outcomes", 2)
    text += (
        "The column `class` of the ledger records the outcome of a URL. "
        "`cnlw fetch --retry OUTCOME` requests all URLs with that outcome again. OUTCOME can be any "
        "outcome of the list except `ok`. `--retry failed` requests all URLs again whose outcome is not "
        "`ok`.\n\n"
    )
    outcomes = [[code(name), escape(meaning)] for name, meaning in OUTCOMES.items()]
    return text + table(["outcome", "meaning"], outcomes)
