"""What a plan says about itself: JSON in the metadata of its Parquet file, under the key `cnlw`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cnlw_tools.dataset import hashing, tables
from cnlw_tools.recipe.keys import INPUT, keys_of_kind
from cnlw_tools.recipe.recipe import HIGHEST_LEVEL, Recipe
from cnlw_tools.recipe.strict import between, choice

REMEDY = "make the plan again with `cnlw plan`"


@dataclass(frozen=True, slots=True)
class PlanInfo:
    """How a plan was made, and what its noise model expects of it."""

    recipe: Recipe  # with every option of the noise model
    version: str  # of this package
    inputs: Mapping[str, str]  # digest of every table it was made from, by name
    rate: float  # expected share of wrong labels in train
    foreign: float  # expected share of images in train that are not of the dataset
    matrix: str  # expected P(given label | true label), (C, C), packed; see `expected_matrix`
    level: int | None = choice(
        check=between(0, HIGHEST_LEVEL)
    )  # percent; none of noise without levels
    substituted: Mapping[str, str] = field(default_factory=dict)  # dead image -> its reserve
    withdrawn: tuple[str, ...] = ()  # ids of the images that were left out
    # the last two are of published splits
    ends: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # split -> cuts of segments
    changed: float | None = None  # share of rows that are not in level 0

    def expected_matrix(self) -> NDArray[np.float64]:
        """Return P(given label | true label) as the noise model expects it, (C, C)."""
        return hashing.decode_matrix(self.matrix)


def with_plan_info(plan: pa.Table, info: PlanInfo) -> pa.Table:
    """Return the plan with what it says about itself."""
    block = asdict(info)
    for name in keys_of_kind(Recipe, INPUT):
        del block["recipe"][name]  # the path of a file on one machine; `inputs` has its digest
    for name in ("substituted", "withdrawn"):
        if not block[name]:
            del block[name]
    if not info.ends:
        del block["ends"], block["changed"]
    return tables.with_info(plan, block)


def read_plan_info(plan: pa.Table, source: str = "the plan") -> PlanInfo:
    """Return what a plan says about itself.

    Args:
        plan: of the PLAN schema
        source: what the errors call it

    Raises:
        ValueError: it says nothing, or not what this package writes
    """
    return tables.read_info(PlanInfo, plan, source, REMEDY)
