"""An example of every noise model on the embedded dataset: how to make it, and its plan.

`shapes_predicted.parquet` beside this file holds the labels that a network predicted once, on a
processor, by the first two commands of `SEMANTIC`; the example of `semantic` noise reads it.
"""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from cnlw_tools.api import Plan, plan
from cnlw_tools.dataset.tables import write_parquet
from cnlw_tools.files import default_root
from cnlw_tools.ingest.thumbnails import make_thumbnails
from cnlw_tools.noise import NOISE
from cnlw_tools.recipe.inputs import Inputs
from docs.generate.markdown import fence

DATASET = "shapes"
LEVEL = 40  # percent
STANDIN_LEVEL = 4  # percent; more donor images do not look like some classes
N_IMAGES = 500  # of the example of instance noise, which has to read them
THUMBNAIL = 8  # pixels
PREDICTED = Path(__file__).with_name("shapes_predicted.parquet")
SEMANTIC = """\
cnlw build --noise blue --level 0 --probe 100
cnlw predict-labels --data builds/shapes --config blue_00_probe100 --out labels.parquet
cnlw plan --noise semantic --side-table labels.parquet -o labels=conv_small
"""
GIVEN = """\
import cnlw_tools as cnlw

given = cnlw.plan("shapes", noise="matrix").to_pandas().query("split == 'train'")
given[["image_id", "label"]].to_parquet("given.parquet", index=False)
"""
HUMAN = "cnlw plan --noise human --side-table given.parquet -o labels=label\n"
INSTANCE = f"""\
cnlw features --out features.parquet
cnlw plan --noise instance --level {LEVEL} --train-size {N_IMAGES} --side-table features.parquet
"""
STANDIN = f"cnlw plan --noise red_standin --level {STANDIN_LEVEL} --donor shapes_others\n"


class Example(NamedTuple):
    """A plan, how to make it, and what to know about it."""

    plan: Plan
    steps: str  # Markdown
    note: str = ""


@cache
def draw_example(name: str) -> Example:
    """Return the example of a noise model."""
    draw = SPECIAL.get(name)
    if draw is not None:
        return draw()
    level = LEVEL if NOISE[name].has_level else None
    command = f"cnlw plan --noise {name}" + (f" --level {level}" if level is not None else "")
    return Example(plan(DATASET, noise=name, level=level), fence(command, "console"))


def _draw_instance() -> Example:
    choices = {"level": LEVEL, "train_size": N_IMAGES}
    ids = _train_rows(plan(DATASET, noise="blue", **choices))["image_id"]
    features = make_thumbnails(DATASET, Inputs(default_root()), ids, THUMBNAIL)
    drawn = _plan_with_side_table(features, "instance", **choices)
    return Example(drawn, fence(INSTANCE, "console"))


def _draw_human() -> Example:
    given = _train_rows(plan(DATASET, noise="matrix")).select(["image_id", "label"])
    drawn = _plan_with_side_table(given, "human", options={"labels": "label"})
    note = (
        "There are no labels from people for `shapes`, so the labels of this example are drawn by "
        "[matrix](matrix.md) noise. The files with human labels for CIFAR-10 and CIFAR-100 that Wei "
        "et al. published can be used unchanged."
    )
    return Example(drawn, fence(GIVEN, "python") + "\n" + fence(HUMAN, "console"), note)


def _draw_semantic() -> Example:
    drawn = plan(
        DATASET, noise="semantic", side_table=str(PREDICTED), options={"labels": "conv_small"}
    )
    note = (
        "The network was trained on 1,000 of the 5,000 training images, with their true labels. It "
        "then predicted a label for each of the 5,000. On another machine, the trained network may "
        "differ slightly, so this page uses stored labels."
    )
    return Example(drawn, fence(SEMANTIC, "console"), note)


def _draw_standin() -> Example:
    drawn = plan(DATASET, noise="red_standin", level=STANDIN_LEVEL, donors=["shapes_others"])
    note = (
        "The donor `shapes_others` comes with the package, so its name is enough. It "
        "has too few images that resemble some of the classes, so no level above "
        f"{STANDIN_LEVEL} % is possible."
    )
    return Example(drawn, fence(STANDIN, "console"), note)


SPECIAL = {
    "human": _draw_human,
    "instance": _draw_instance,
    "red_standin": _draw_standin,
    "semantic": _draw_semantic,
}


def _train_rows(drawn: Plan) -> pa.Table:
    return drawn.table.filter(pc.equal(drawn.table["split"], "train"))


def _plan_with_side_table(table: pa.Table, noise: str, **choices: object) -> Plan:
    """Return a plan of noise that reads a side table."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "side.parquet"
        write_parquet(table, path)
        return plan(DATASET, noise=noise, side_table=str(path), **choices)
