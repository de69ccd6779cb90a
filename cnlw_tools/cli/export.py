"""``cnlw export``: what other programs read."""

from pathlib import Path

import click

from cnlw_tools.cli.options import ROOT, find_root


@click.group()
def export() -> None:
    """Write what other programs read."""


@export.command()
@click.option(
    "--dataset", required=True, help="Name of a dataset with candidates, manifests/D/web.parquet."
)
@click.option(
    "--votes",
    type=click.IntRange(1),
    default=3,
    help="Yes and no that a candidate should have.  [default: 3]",
)
@click.option(
    "--url",
    help="Where the images are served, {image_id} in it.  [default: the uri of the manifest]",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="JSON file; FILE.xml comes beside it.  [default: D.json]",
)
@ROOT
def tasks(dataset: str, votes: int, url: str | None, out: Path | None, root: Path | None) -> None:
    """Write the candidates that are still short of votes, for people to look at in Label Studio.

    The XML file is the labelling interface to paste into the project's settings. When people have answered, export the
    project as JSON: `cnlw import votes EXPORT.json --dataset D`.
    """
    import json

    from cnlw_tools.dataset.dataset import read_dataset
    from cnlw_tools.files import atomic_write
    from cnlw_tools.ingest import label_studio

    found, target = read_dataset(dataset, find_root(root)), out or Path(f"{dataset}.json")
    if target.suffix != ".json":
        raise ValueError(
            f"{target}: tasks are a JSON file: name it {target.with_suffix('.json').name}"
        )
    made = label_studio.make_tasks(found.web, found.votes, found.classes, votes, url)
    interface = target.with_suffix(".xml")
    for path, text in (
        (interface, label_studio.INTERFACE),
        (target, json.dumps(made, indent=0, ensure_ascii=False)),
    ):
        with atomic_write(path) as draft:
            draft.write_text(text, encoding="utf-8")
    click.echo(
        f"{target}: {len(made):,} of {len(found.web):,} candidates have fewer than {votes} votes; {interface}"
    )
