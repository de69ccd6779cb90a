"""``cnlw import votes``: what people said, from a file -> the votes of a dataset."""

from pathlib import Path

import click


def import_votes(file: Path, dataset: str | None, root: Path) -> None:
    """Join the votes of a file to those of a dataset, and say how many came."""
    from cnlw_tools.ingest.import_votes import add_votes

    if dataset is None:
        raise ValueError(f"{file}: votes on which candidates? Give --dataset")
    done = add_votes(file, dataset, root)
    later = f", {done.n_replaced:,} gave way to later ones" if done.n_replaced else ""
    click.echo(f"{done.path}: {done.n_added:,} votes added{later}; {done.n_votes:,} in all")
