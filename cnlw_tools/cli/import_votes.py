"""``cnlw import votes``: what people said, from a file -> the votes of a dataset."""

from pathlib import Path

import click


def import_votes(file: Path, dataset: str | None, root: Path) -> None:
    """Join the votes of a file to those of a dataset, and say how many came."""
    from cnlw_tools.ingest.import_votes import add

    if dataset is None:
        raise ValueError(f"{file}: votes on which candidates? Give --dataset")
    done = add(file, dataset, root)
    later = f", {done.replaced:,} gave way to later ones" if done.replaced else ""
    click.echo(f"{done.path}: {done.added:,} votes added{later}; {done.votes:,} in all")
