"""What `cnlw votes report` prints: agreement, annotators, and the red noise that votes allow."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cnlw_tools.cli.options import read_recipe_flags
from cnlw_tools.registry.counts import count_things

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from cnlw_tools.dataset.dataset import Dataset
    from cnlw_tools.recipe.recipe import Recipe

MAX_ANNOTATORS = 20  # in the list of those who err most
HEADING = (
    f"{'class':28}{'shows':>8}{'does not':>10}{'undecided':>11}{'no votes':>10}{'pool':>7}"
    "  red up to"
)


def describe_votes(name: str, root: Path, data_dir: Path | None) -> Iterator[str]:
    """Yield lines on agreement, on annotators who stand out, and on each class."""
    from cnlw_tools.dataset.dataset import read_dataset
    from cnlw_tools.dataset.verdicts import compute_verdicts
    from cnlw_tools.ingest.resolve import load_dataset
    from cnlw_tools.recipe.inputs import Inputs

    recipe = read_recipe_flags(None, root, {"dataset": name, "noise": "red"})
    if data_dir is None:
        dataset = read_dataset(name, root)
    else:
        dataset = load_dataset(recipe, Inputs(root, data_dir))
    verdicts = compute_verdicts(dataset.votes, recipe.min_votes, recipe.verdict)
    search = f", search {' '.join(recipe.search)}" if recipe.search else ""
    yield (
        f"{name}: {count_things(len(dataset.web), 'candidate')}, "
        f"{count_things(len(dataset.votes), 'vote')}; "
        f"verdict {recipe.verdict}, min_votes {recipe.min_votes}{search}"
    )
    yield _describe_agreement(verdicts)
    yield from _describe_annotators(dataset.votes, recipe)
    yield from _describe_classes(dataset, recipe, verdicts)


def _describe_agreement(verdicts: "pa.Table") -> str:
    import numpy as np

    from cnlw_tools.dataset import agreement

    counts = np.stack([verdicts["yes"].to_numpy(), verdicts["no"].to_numpy()], 1)
    usual = agreement.items_with_usual_votes(counts)
    alpha = _format(agreement.krippendorff_alpha(counts))
    kappa = _format(agreement.fleiss_kappa(usual))
    basis = "no candidate has two votes"
    if len(usual):
        basis = f"{count_things(len(usual), 'candidate')} with {usual[0].sum()} votes"
    return f"agreement, yes and no: Krippendorff's alpha {alpha}, Fleiss' kappa {kappa} ({basis})"


def _format(value: float) -> str:
    return f"{value:.3f}" if value == value else "undefined"


def _describe_annotators(votes: "pa.Table", recipe: "Recipe") -> Iterator[str]:
    """Yield who stands out, how often each errs, and how many verdicts depend on the rule.

    All of it needs the names of the annotators.
    """
    import numpy as np
    import pyarrow.compute as pc

    from cnlw_tools.dataset import agreement
    from cnlw_tools.dataset.verdicts import annotator_error_rates

    decisive = votes.filter(pc.is_valid(votes["correct"]))
    n_anonymous = decisive["annotator"].null_count
    if n_anonymous:
        n_votes_without = count_things(n_anonymous, "vote")
        yield f"annotators: {n_votes_without} without a name, so there are no error rates"
        return
    table = annotator_error_rates(votes).sort_by([("error", "descending")])
    errors, n_votes = table["error"].to_numpy(), table["votes"].to_numpy()
    annotators = table.to_pylist()
    outliers = []
    for annotator, stands_out in zip(
        annotators, agreement.outlying_annotators(errors, n_votes), strict=True
    ):
        if stands_out:
            share = f"{100 * annotator['error']:.1f} % of {annotator['votes']:,}"
            outliers.append(f"{annotator['annotator']} ({share})")
    median = f", the median error is {100 * np.median(errors):.1f} %" if len(errors) else ""
    names = ", ".join(outliers) or "none"
    yield f"annotators: {len(annotators)}{median}; more than 3 deviations above it: {names}"
    for annotator in annotators[:MAX_ANNOTATORS]:
        share = f"{100 * annotator['error']:8.1f} % of {annotator['votes']:,}"
        yield f"     {annotator['annotator']:23}{share}"
    if len(annotators) > MAX_ANNOTATORS:
        yield f"     and {len(annotators) - MAX_ANNOTATORS:,} more, whose error rates are lower"
    yield _compare_rules(votes, recipe.min_votes)


def _compare_rules(votes: "pa.Table", min_votes: int) -> str:
    """Return how many candidates get different verdicts by the two rules."""
    import pyarrow.compute as pc

    from cnlw_tools.dataset.verdicts import RULES, compute_verdicts

    first, second = (compute_verdicts(votes, min_votes, rule)["shows"] for rule in RULES)
    both_undecided = pc.and_(first.is_null(), second.is_null())
    is_same = pc.fill_null(pc.equal(first, second), both_undecided)
    n_differing = pc.sum(pc.invert(is_same)).as_py() or 0
    n_candidates = count_things(n_differing, "candidate")
    return f"verdicts: {' and '.join(RULES)} differ on {n_candidates}"


def _describe_classes(dataset: "Dataset", recipe: "Recipe", verdicts: "pa.Table") -> Iterator[str]:
    """Yield a line for each class: verdicts, images for red noise, and the level they allow."""
    from cnlw_tools.dataset.verdicts import count_verdicts
    from cnlw_tools.plans import capacity

    n_classes = len(dataset.classes)
    pool = dataset.web_pool(recipe.min_votes, recipe.verdict, recipe.search)
    n_images = capacity.count_available(pool, n_classes)
    counts = count_verdicts(dataset.web, verdicts, n_classes)
    levels = None
    if dataset.base is not None:
        levels = capacity.highest_red_levels(recipe, dataset)
    yield HEADING
    for label, name in enumerate(dataset.classes):
        shows, shows_not, undecided, no_votes = counts[label]
        level = _format_level(levels, label)
        yield (
            f"{label:4} {name:23}{shows:8,}{shows_not:10,}{undecided:11,}{no_votes:10,}"
            f"{n_images[label]:7,}{level:>11}"
        )
    if levels is None:
        yield "red up to: the base manifest comes from the images: give --data-dir"
    else:
        lowest = levels.min()
        yield f"red noise of all classes: up to {lowest} % (-o top={lowest})"


def _format_level(levels: "np.ndarray | None", label: int) -> str:
    return "?" if levels is None else f"{levels[label]} %"
