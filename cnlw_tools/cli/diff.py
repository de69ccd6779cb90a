"""``cnlw diff``: how two plans, or two builds, differ."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnlw_tools.cli.options import PathOrAddress
from cnlw_tools.registry.counts import count_things

if TYPE_CHECKING:
    from cnlw_tools.builds.diff import Difference


class NotComparable(click.ClickException):
    """One of the two is neither a plan nor a build."""

    exit_code = 2


@click.command()
@click.argument("a", type=PathOrAddress(exists=True, path_type=Path))
@click.argument("b", type=PathOrAddress(exists=True, path_type=Path))
@click.option(
    "--list",
    "list_slots",
    is_flag=True,
    help="Print a line for each difference: kind, slot, image in A, image in B.",
)
def diff(a: Path | str, b: Path | str, list_slots: bool) -> None:
    """Count the slots in which two plans or two builds, A and B, differ.

    A slot is a place in the training set. With --list, each line begins with the kind of the
    difference: `missing` if only one of the two has the slot, `substituted` if A and B have
    different images in the slot, `changed` if the image is the same but another value differs, such
    as the label, and `withdrawn` if one of the two leaves the image out (see --without of
    `cnlw build`).

    The exit code is 0 if A and B are the same, 1 if they differ, and 2 if they cannot be compared.
    """
    from cnlw_tools.builds.diff import (
        compare_plans,
        list_differences,
        read_plans,
        withdrawn_images,
    )
    from cnlw_tools.card.remote import local_build

    try:
        path_a, path_b = local_build(a), local_build(b)
        if path_a.is_dir() != path_b.is_dir():
            raise click.UsageError(
                f"{a} and {b} are not both plans or both builds: compare two plans or two builds"
            )
        plans_a, plans_b = read_plans(path_a), read_plans(path_b)
        withdrawn = withdrawn_images(path_a) ^ withdrawn_images(path_b)
    except (ValueError, OSError) as error:
        raise NotComparable(str(error)) from error
    if withdrawn:
        click.echo(f"only one of the two leaves out {count_things(len(withdrawn), 'image')}")
    is_same = True
    for name in sorted({*plans_a, *plans_b}):
        if name not in plans_a or name not in plans_b:
            is_same = False
            click.echo(f"{name}: only in {a if name in plans_a else b}")
            continue
        difference = compare_plans(plans_a[name], plans_b[name])
        is_same &= difference.is_empty()
        click.echo(f"{name}: {_describe(difference)}")
        if list_slots:
            for row in list_differences(plans_a[name], plans_b[name], withdrawn):
                click.echo("\t".join(row))
    raise SystemExit(0 if is_same else 1)


def _describe(difference: "Difference") -> str:
    if difference.is_empty():
        return f"the same in all {difference.slots:,} slots"
    parts = [f"{count_things(difference.slots, 'slot')}, {difference.differ:,} differ"]
    if difference.by_column:
        columns = (f"{column} {count:,}" for column, count in difference.by_column.items())
        parts.append("in " + ", ".join(columns))
    if difference.only_a:
        parts.append(f"only in the first {difference.only_a:,}")
    if difference.only_b:
        parts.append(f"only in the second {difference.only_b:,}")
    if difference.examples:
        parts.append("such as " + ", ".join(difference.examples))
    return "; ".join(parts)
