"""``cnlw show --dataset``: what people said of the candidates, and how much red noise that allows."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnlw_tools.cli.options import read_recipe_flags

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from cnlw_tools.dataset.dataset import Dataset
    from cnlw_tools.recipe.recipe import Recipe

WORST = 20  # annotators to name


def show_votes(name: str, root: Path, data_dir: Path | None) -> None:
    """Print agreement, annotators who stand out, and for each class its verdicts and how far red noise can go."""
    from cnlw_tools.dataset import dataset
    from cnlw_tools.dataset.verdicts import compute_verdicts
    from cnlw_tools.ingest.resolve import load_dataset
    from cnlw_tools.recipe.inputs import Inputs

    recipe = read_recipe_flags(None, root, {"dataset": name, "noise": "red"})
    data = (
        load_dataset(recipe, Inputs(root, data_dir))
        if data_dir
        else dataset.read_dataset(name, root)
    )
    found = compute_verdicts(data.votes, recipe.min_votes, recipe.verdict)
    search = f", search {' '.join(recipe.search)}" if recipe.search else ""
    said = f"{len(data.web):,} candidates, {len(data.votes):,} votes"
    click.echo(f"{name}: {said}; verdict {recipe.verdict}, min_votes {recipe.min_votes}{search}")
    for line in (
        _agreement(found),
        *_annotators(data.votes, recipe),
        *_classes(data, recipe, found),
    ):
        click.echo(line)


def _agreement(found: "pa.Table") -> str:
    import numpy as np

    from cnlw_tools.dataset import agreement

    counts = np.stack([found["yes"].to_numpy(), found["no"].to_numpy()], 1)
    even = agreement.items_with_usual_votes(counts)
    alpha, kappa = (
        _number(v) for v in (agreement.krippendorff_alpha(counts), agreement.fleiss_kappa(even))
    )
    on = (
        f"{len(even):,} candidates with {even[0].sum()} votes"
        if len(even)
        else "no candidate has two votes"
    )
    return f"agreement, yes and no: Krippendorff's alpha {alpha}, Fleiss' kappa {kappa} ({on})"


def _number(value: float) -> str:
    return f"{value:.3f}" if value == value else "undefined"


def _annotators(votes: "pa.Table", recipe: "Recipe") -> Iterator[str]:
    """Say who stands out, how often each errs, and what the rules of verdicts disagree on; all of it asks for names."""
    import numpy as np
    import pyarrow.compute as pc

    from cnlw_tools.dataset import agreement
    from cnlw_tools.dataset.verdicts import RULES, annotator_error_rates, compute_verdicts

    said = votes.filter(pc.is_valid(votes["correct"]))
    if said["annotator"].null_count:
        yield f"annotators: {said['annotator'].null_count:,} votes name none, so there are no error rates"
        return
    people = annotator_error_rates(votes).sort_by([("error", "descending")])
    error, count = people["error"].to_numpy(), people["votes"].to_numpy()
    far = agreement.outlying_annotators(error, count)
    who = zip(people["annotator"].to_pylist(), error, count, far, strict=True)
    shown = [f"{name} ({100 * e:.1f} % of {n:,})" for name, e, n, out in who if out]
    middle = f", the median error is {100 * np.median(error):.1f} %" if len(error) else ""
    yield f"annotators: {len(people)}{middle}; more than 3 deviations above it: {', '.join(shown) or 'none'}"
    for person in people.to_pylist()[:WORST]:
        yield f"     {person['annotator']:23}{100 * person['error']:8.1f} % of {person['votes']:,}"
    if len(people) > WORST:
        yield f"     and {len(people) - WORST:,} who err less"
    one, other = (compute_verdicts(votes, recipe.min_votes, rule)["shows"] for rule in RULES)
    unlike = pc.sum(
        pc.invert(pc.fill_null(pc.equal(one, other), pc.and_(one.is_null(), other.is_null())))
    ).as_py()
    yield f"verdicts: {' and '.join(RULES)} differ on {unlike or 0:,} candidates"


def _classes(data: "Dataset", recipe: "Recipe", found: "pa.Table") -> Iterator[str]:
    """One line a class: verdicts, images that red noise may use, and the level that they allow."""
    from cnlw_tools.dataset.verdicts import count_verdicts
    from cnlw_tools.plans import capacity

    pool = capacity.count_available(
        data.web_pool(recipe.min_votes, recipe.verdict, recipe.search), len(data.classes)
    )
    levels = capacity.highest_red_levels(recipe, data) if data.base is not None else None
    yield f"{'class':28}{'shows':>8}{'does not':>10}{'neither':>9}{'unasked':>9}{'pool':>7}  red up to"
    for label, (counts, images) in enumerate(
        zip(count_verdicts(data.web, found, len(data.classes)), pool, strict=True)
    ):
        shows, wrong, neither, unasked = counts
        row = f"{label:4} {data.classes[label]:23}{shows:8,}{wrong:10,}{neither:9,}{unasked:9,}{images:7,}"
        yield f"{row}{_level(levels, label):>11}"
    if levels is None:
        yield "red up to: the base manifest comes from the images: give --data-dir"
    else:
        least = levels.min()
        yield f"red noise of all classes: up to {least} % (-o top={least})"


def _level(levels: "np.ndarray | None", label: int) -> str:
    return "?" if levels is None else f"{levels[label]} %"
