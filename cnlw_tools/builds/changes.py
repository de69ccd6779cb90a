"""What changed between an earlier build and this one, config by config, for the card.

The plans of the earlier build are drawn again from its tables, so its shards are not needed.
"""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from cnlw_tools.builds.diff import compare_plans
from cnlw_tools.card.metadata import BuildCard, Changes, ConfigCard, ConfigChanges, read_card
from cnlw_tools.dataset import hashing
from cnlw_tools.dataset.dataset import Dataset, read_tables
from cnlw_tools.plans.plan import plan


def find_changes(previous: Path, plans: Mapping[str, pa.Table]) -> Changes:
    """Compare the configs that an earlier build has too.

    Args:
        previous: folder of the earlier build, with its card and its tables
        plans: of the new build, by config

    Raises:
        ValueError, OSError: there is no build, its tables were changed, or this version draws other
            plans from them
    """
    card = read_card(previous)
    tables = previous / "tables"
    data = read_tables(card.dataset, tables, tables)
    check_tables(previous, card, data)
    configs = {}
    for name in sorted(plans.keys() & card.configs.keys()):
        old_plan = draw_recorded_plan(previous, card, name, card.configs[name], data)
        difference = compare_plans(old_plan, plans[name])
        configs[name] = ConfigChanges(
            slots=difference.slots,
            differ=difference.differ,
            gone=difference.only_a,
            added=difference.only_b,
        )
    return Changes(card.about.version, configs)


def check_tables(folder: Path, card: BuildCard, data: Dataset) -> None:
    """Insist that tables are those that a build was made from.

    Args:
        folder: of the build
        card: its card
        data: its tables

    Raises:
        ValueError: a table is missing or was changed
    """
    for name, digest in card.tables.items():
        if data.digests.get(name) != digest:
            raise ValueError(
                f"{folder}: its table {name} is missing or was changed, because its digest is "
                "not the one on the card: get the build again"
            )


def draw_recorded_plan(
    folder: Path, card: BuildCard, name: str, config: ConfigCard, data: Dataset
) -> pa.Table:
    """Return the plan of a config, drawn from the tables of its build.

    Args:
        folder: of the build
        card: its card
        name: of the config
        config: what the card says of it
        data: the tables of the build

    Raises:
        ValueError: it is not the plan of the card
    """
    drawn = plan(config.recipe, data, config.level)
    if hashing.digest(drawn) != config.digest:
        versions = ", ".join(f"{package} {v}" for package, v in card.made_with.items())
        raise ValueError(
            f"{folder}: the plan of {name} that follows from its tables differs from the plan on "
            f"its card: install the versions that made the build ({versions})"
        )
    return drawn
