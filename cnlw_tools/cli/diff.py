"""``cnlw diff``: how two plans, or two builds, differ."""

from pathlib import Path

import click


class Incomparable(click.ClickException):
    """One of the two is no plan and no build."""

    exit_code = 2


@click.command()
@click.argument("a", type=click.Path(exists=True, path_type=Path))
@click.argument("b", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--list", "lists", is_flag=True, help="A line for each: what, slot, image in A, image in B."
)
def diff(a: Path, b: Path, lists: bool) -> None:
    """Say in how many slots, and how, two plans or two builds differ; --list: which are missing, changed, substituted.

    Exit code: 0 they are the same, 1 they differ, 2 they cannot be compared.
    """
    from cnlw_tools.builds.diff import compare_plans, list_differences, read_plans

    if a.is_dir() != b.is_dir():
        raise click.UsageError(f"{a} and {b}: compare two plans or two builds")
    try:
        ours, theirs = read_plans(a), read_plans(b)
    except (ValueError, OSError) as error:
        raise Incomparable(str(error)) from error
    same = True
    for name in sorted({*ours, *theirs}):
        if name not in ours or name not in theirs:
            same = False
            click.echo(f"{name}: only in {a if name in ours else b}")
            continue
        found = compare_plans(ours[name], theirs[name])
        same &= found.is_empty()
        click.echo(
            f"{name}: {_sentence(found.slots, found.only_a, found.only_b, found.differ, found.by_column, found.examples)}"
        )
        for row in list_differences(ours[name], theirs[name]) if lists else ():
            click.echo("\t".join(row))
    raise SystemExit(0 if same else 1)


def _sentence(
    slots: int, only_a: int, only_b: int, differ: int, by: dict[str, int], such_as: list[str]
) -> str:
    if not (only_a or only_b or differ):
        return f"the same in all {slots:,} slots"
    parts = [f"{slots:,} slots, {differ:,} differ"]
    parts += ["in " + ", ".join(f"{column} {n:,}" for column, n in by.items())] if by else []
    parts += [f"only in the first {only_a:,}"] if only_a else []
    parts += [f"only in the second {only_b:,}"] if only_b else []
    parts += ["such as " + ", ".join(such_as)] if such_as else []
    return "; ".join(parts)
