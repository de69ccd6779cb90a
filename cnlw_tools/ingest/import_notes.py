"""Notes on a dataset that was imported: what a user should know, though it is not an error."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from cnlw_tools.dataset.validation_split import classes_without_validation
from cnlw_tools.registry.counts import count_things
from cnlw_tools.sources.formats.class_names import names_that_differ_in_case
from cnlw_tools.sources.formats.listing import enumerate_names, printable


def describe_oddities(
    manifest: pa.Table, classes: Sequence[str], has_new_validation: bool = False
) -> list[str]:
    """Return a line on each oddity: unseen classes, similar names, images in two classes or splits.

    Args:
        manifest: with the sha256 of every image
        classes: in label order
        has_new_validation: whether the import has split validation off
    """
    notes = []
    train = manifest.filter(pc.equal(manifest["split"], "train"))
    unseen = sorted(set(range(len(classes))) - set(train["label"].to_pylist()))
    if unseen:
        names = [repr(classes[label]) for label in unseen]
        notes.append(f"classes without an image to train on: {enumerate_names(names)}")
    if has_new_validation:
        names = [repr(name) for name in classes_without_validation(manifest, classes)]
        if names:
            notes.append(
                f"classes with too few images to have one in validation: {enumerate_names(names)}"
            )
    pairs = names_that_differ_in_case(classes)
    if pairs:
        names = [f"{first!r} and {second!r}" for first, second in pairs]
        notes.append(f"classes that differ only in capital letters: {enumerate_names(names)}")
    reasons = {
        "label": "so one label of each is wrong",
        "split": "so a network is tested on images that it saw",
    }
    for column, reason in reasons.items():
        n_images, ids = _find_equal_images(manifest, column)
        if n_images:
            kind = "classes" if column == "label" else "splits"
            example = " and ".join(map(printable, ids))
            images = count_things(n_images, "image")
            notes.append(f"{images} found in several {kind}, {reason}: {example} ...")
    return notes


def _find_equal_images(manifest: pa.Table, column: str) -> tuple[int, list[str]]:
    """Return how many images have several values in a column, and two ids of the first of them."""
    groups = manifest.group_by("sha256").aggregate([(column, "count_distinct")])
    digests = groups.filter(pc.greater(groups[f"{column}_count_distinct"], 1))["sha256"]
    twins = manifest.filter(pc.is_in(manifest["sha256"], digests.combine_chunks()))
    if not len(twins):
        return 0, []
    first = twins.filter(pc.equal(twins["sha256"], twins["sha256"][0]))
    is_other = pc.not_equal(first[column], first[column][0])
    return len(digests), [
        first["image_id"][0].as_py(),
        first.filter(is_other)["image_id"][0].as_py(),
    ]
