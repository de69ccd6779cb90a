"""``cnlw show``: what a plan, a build or a store of web images holds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnlw_tools.cli.options import PathOrAddress, check_ending
from cnlw_tools.registry.counts import list_first

if TYPE_CHECKING:
    import pyarrow as pa

MAX_NAMES = 4  # in the title of a matrix that several configs share


@click.command()
@click.argument("path", type=PathOrAddress(exists=True, path_type=Path))
@click.option("--config", help="Show only this config of the build.  [default: all configs]")
@click.option(
    "--matrix",
    "picture",
    type=PathOrAddress(dir_okay=False, path_type=Path),
    help="PNG file, or its address, for a picture of the realised transition matrices.  "
    "[default: none]",
)
@click.option(
    "--image",
    "image_ids",
    metavar="ID",
    multiple=True,
    help="Show this image of the build with its labels; may be repeated.",
)
@click.option("--gallery", is_flag=True, help="Serve a page with all images of the build or store.")
@click.option(
    "--runs",
    type=PathOrAddress(exists=True, file_okay=False, path_type=Path),
    help="With --gallery: folder or address of runs; show what they classified as noisy.  "
    "[default: none]",
)
@click.option(
    "--duplicates",
    is_flag=True,
    help="With --gallery: also find near duplicates, which requires decoding every image.",
)
@click.option(
    "--out",
    type=PathOrAddress(path_type=Path),
    help="PNG file or its address for --image; local folder for --gallery.  "
    "[default: images.png for --image]",
)
def show(
    path: Path | str,
    config: str | None,
    picture: Path | str | None,
    image_ids: tuple[str, ...],
    gallery: bool,
    runs: Path | str | None,
    duplicates: bool,
    out: Path | str | None,
) -> None:
    """Print the number of rows, the realised noise and the class sizes of a plan or a build.

    PATH may be a local path or an address such as `s3://bucket/shapes`. If PATH is a store of web
    images, the command prints how many URLs had each outcome.

    With --image ID, the command instead writes the image with this id and its labels in each config
    into a PNG file. If you repeat the option, the file shows all these images.

    With --gallery, the command serves a page on which you can look through all images of a build or
    a store. The page has filters for configs, splits, classes, origins, wrong labels and more. With
    --out, the command writes the page to a folder, from which it can be opened without a server.
    Web images belong to other people: before you share such a folder, check that you are allowed to
    share the images in it.
    """
    from cnlw_tools.builds.diff import read_plans
    from cnlw_tools.card.remote import local_build
    from cnlw_tools.registry import pick

    _check_choices(picture, image_ids, gallery, runs, duplicates, out)
    if _is_store(path):
        _show_store(path, gallery, out, [config, picture, image_ids, runs, duplicates])
        return
    if gallery:
        _show_gallery(local_build(path), config, runs, duplicates, out)
        return
    path = local_build(path)
    plans = read_plans(path)
    if config is not None:
        plans = {config: pick(plans, config, "config")}
    classes = _class_names(path, plans)
    if image_ids:
        _show_images(path, plans, classes, image_ids, out or Path("images.png"))
        return
    for name, plan in plans.items():
        click.echo(f"{name:24} {_describe_plan(plan, len(classes))}")
    if picture:
        _draw_matrices(picture, plans, classes)


def _check_choices(
    picture: Path | str | None,
    image_ids: Sequence[str],
    gallery: bool,
    runs: Path | str | None,
    duplicates: bool,
    out: Path | str | None,
) -> None:
    """Raise if options of the command cannot be used together, or a picture cannot be written.

    Raises:
        click.UsageError, ValueError: they do, or a file has another ending than its content
        OSError: a picture cannot be written
    """
    from cnlw_tools.files.outputs import check_output
    from cnlw_tools.files.storage import local_path

    if picture:
        check_ending(picture, ".png", "matrices")
        check_output(picture)
    if out and image_ids:
        check_ending(out, ".png", "images")
        check_output(out)
    if out and gallery:
        local_path(out)
    if out and not image_ids and not gallery:
        raise click.UsageError(
            "--out needs --image or --gallery: name an image with --image, or give --gallery"
        )
    names = {"--gallery": gallery, "--image": bool(image_ids), "--matrix": bool(picture)}
    options = [name for name, is_given in names.items() if is_given]
    if len(options) > 1:
        raise click.UsageError(
            f"{' and '.join(options[:2])} cannot be used together: give one of the two"
        )
    for name, is_given in {"--runs": bool(runs), "--duplicates": duplicates}.items():
        if is_given and not gallery:
            raise click.UsageError(f"{name} needs --gallery: give both")


def _is_store(path: Path | str) -> bool:
    """Return whether a store of web images is at PATH, or a pack."""
    from cnlw_tools.store.pack import is_pack
    from cnlw_tools.store.store import is_store

    return is_pack(path) or (isinstance(path, Path) and is_store(path))


def _show_store(
    path: Path | str, gallery: bool, out: Path | str | None, other_options: Sequence[object]
) -> None:
    """Print the outcomes of a store, or serve or write the page of its images."""
    from cnlw_tools.browser.store_page import make_store_page
    from cnlw_tools.cli.pages import serve_or_write
    from cnlw_tools.registry.counts import count_things
    from cnlw_tools.store.pack import open_store

    if any(other_options):
        raise click.UsageError(
            f"{path} is a store of web images, which has no configs: give only --gallery and --out"
        )
    with open_store(path) as store:
        if gallery:
            items, pictures = make_store_page(store)
            serve_or_write(
                items, pictures, None if out is None else Path(out), f"gallery of {path}"
            )
            return
        for outcome, n_urls in store.count_outcomes().items():
            click.echo(f"{outcome:24} {count_things(n_urls, 'URL')}")


def _show_gallery(
    path: Path,
    config: str | None,
    runs: Path | str | None,
    duplicates: bool,
    out: Path | str | None,
) -> None:
    """Serve or write the page of the images of a build."""
    from cnlw_tools.browser.gallery import GalleryOptions, make_gallery
    from cnlw_tools.cli.pages import check_page_folder, serve_or_write
    from cnlw_tools.executor.progress import ProgressBars
    from cnlw_tools.reports.remote import copy_runs

    if not path.is_dir():
        raise ValueError(f"{path}: a plan contains no images: give the folder of a build")
    folder = None if out is None else Path(out)
    check_page_folder(folder)
    with ProgressBars() as bars:
        run_folder = None if runs is None else copy_runs(runs, bars)
        options = GalleryOptions(config, run_folder, duplicates)
        items, pictures = make_gallery(path, options, bars, _print_problem)
    serve_or_write(items, pictures, folder, f"gallery of {path}")


def _print_problem(problem: str) -> None:
    click.echo(f"note: {problem}", err=True)


def _class_names(path: Path, plans: Mapping[str, "pa.Table"]) -> tuple[str, ...]:
    """Return the class names; numbers where there is a plan alone, which does not name them."""
    from cnlw_tools.dataset import tables

    if path.is_dir():
        return tables.read_classes(path / "tables" / "classes.csv")
    highest = max(plan["label"].to_numpy().max(initial=0) for plan in plans.values())
    return tuple(map(str, range(highest + 1)))


def _describe_plan(plan: "pa.Table", n_classes: int) -> str:
    """Return the share of noise, the range of class sizes and the size of each split."""
    import numpy as np
    import pyarrow.compute as pc

    from cnlw_tools.plans.statistics import realised_stats

    stats = realised_stats(plan, n_classes)
    train = plan.filter(pc.equal(plan["split"], "train"))
    sizes = np.bincount(train["label"].to_numpy(), minlength=n_classes)
    splits = [_describe_split(plan, split) for split in pc.unique(plan["split"]).to_pylist()]
    return (
        f"{100 * stats.rate:7.3f} % noisy, {100 * stats.foreign_rate:7.3f} % foreign images, "
        f"{sizes.min():,} to {sizes.max():,} rows for each given label; {', '.join(splits)}"
    )


def _describe_split(plan: "pa.Table", split: str) -> str:
    """Return the size of a split and, except for train, how many of its rows are noisy."""
    import pyarrow.compute as pc

    rows = plan.filter(pc.equal(plan["split"], split))
    n_noisy = 0 if split == "train" else pc.sum(rows["is_noisy"]).as_py()
    noisy = f" ({n_noisy:,} noisy)" if n_noisy else ""
    return f"{split} {len(rows):,}{noisy}"


def _draw_matrices(
    place: Path | str, plans: Mapping[str, "pa.Table"], classes: tuple[str, ...]
) -> None:
    """Draw the matrix of each config, equal ones once, and say what the picture holds."""
    import numpy as np

    from cnlw_tools.card import heatmap
    from cnlw_tools.files import atomic_write
    from cnlw_tools.files.outputs import output_file
    from cnlw_tools.plans.statistics import realised_stats
    from cnlw_tools.registry.counts import count_things

    matrices = []
    for name, plan in plans.items():
        matrices.append((name, realised_stats(plan, len(classes)).matrix))
    merged = heatmap.merge_equal(matrices)
    titled = [(_join_names(names), matrix) for names, matrix in merged]
    image = heatmap.draw_matrices(titled, classes)
    with output_file(place) as path, atomic_write(path) as draft:
        image.save(draft, "PNG")
    click.echo(f"{place}: {count_things(len(merged), 'matrix')} of the images of train that stayed")
    for names, matrix in merged:
        if not np.any(matrix - np.diag(np.diag(matrix))):
            click.echo(f"{_join_names(names)}: no label of these images differs from the true one")


def _show_images(
    path: Path,
    plans: Mapping[str, "pa.Table"],
    classes: tuple[str, ...],
    image_ids: Sequence[str],
    out: Path | str,
) -> None:
    """Print what is known of images of a build, and draw them with it."""
    from cnlw_tools.builds.diff import read_images
    from cnlw_tools.card.image_list import draw_images
    from cnlw_tools.files import atomic_write
    from cnlw_tools.files.outputs import output_file
    from cnlw_tools.registry.counts import count_things

    ids = list(dict.fromkeys(image_ids))
    texts = [_describe_image(path, plans, classes, image_id) for image_id in ids]
    images = read_images(path, ids)
    rows = []
    for image_id, text in zip(ids, texts, strict=True):
        click.echo(f"{image_id}: {text}")
        rows.append((images[image_id], image_id, text))
    with output_file(out) as picture, atomic_write(picture) as draft:
        draw_images(rows).save(draft, "PNG")
    click.echo(f"{out}: {count_things(len(ids), 'image')}")


def _describe_image(
    path: Path, plans: Mapping[str, "pa.Table"], classes: tuple[str, ...], image_id: str
) -> str:
    """Return the splits and the labels of an image, each with the configs where it has them."""
    import pyarrow.compute as pc

    configs: dict[str, list[str]] = {}  # by what they say of the image
    for name, plan in plans.items():
        rows = plan.filter(pc.equal(plan["image_id"], image_id))
        for row in rows.select(["split", "label", "clean_label"]).to_pylist():
            names = configs.setdefault(_describe_labels(row, classes), [])
            if name not in names:
                names.append(name)
    if not configs:
        raise LookupError(
            f"{path}: no config has an image {image_id!r}: give an id from the column image_id"
        )
    return "; ".join(f"{text} ({_join_names(names)})" for text, names in configs.items())


def _describe_labels(row: Mapping[str, Any], classes: tuple[str, ...]) -> str:
    """Return the split and the given label of a row, and the true one if it differs."""
    given_label, true_label = row["label"], row["clean_label"]
    text = f"{row['split']}: {classes[given_label]}"
    if true_label is None:
        return f"{text}, the true class is unknown"
    return text if true_label == given_label else f"{text}, true class {classes[true_label]}"


def _join_names(names: Sequence[str]) -> str:
    """Return the first names, and the number of the others."""
    return list_first(names, MAX_NAMES)
