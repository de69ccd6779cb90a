"""What `cnlw votes report` prints: agreement, annotators, and the red noise that votes allow."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cnlw_tools.recipe.recipe import HIGHEST_LEVEL
from cnlw_tools.registry.counts import count_things

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from cnlw_tools.ingest.crawl_status import CrawlStatus
    from cnlw_tools.recipe.recipe import Recipe

MAX_ANNOTATORS = 20  # in the list of those who err most
HEADING = (
    f"{'class':28}{'shows':>8}{'does not':>10}{'undecided':>11}{'no votes':>10}{'pool':>7}"
    "  red up to"
)
TIME_HEADING = (
    f"{'votes in order of time':41}{'votes':>7}{'no':>8}{'unsure':>8}{'agree':>8}{'seconds':>8}"
)
NEEDS_HEADING = (
    f"{'needs':>8}{'known':>8}{'missing':>9}{'more votes':>12}{'candidates':>11}{'left':>7}"
)


def describe_votes(
    status: "CrawlStatus", level: int | None, is_asked: "NDArray[np.bool_]"
) -> Iterator[str]:
    """Yield lines on agreement, on annotators who stand out, on time, and on each class.

    Args:
        status: the tables of a dataset
        level: of red noise, in percent: what each class still needs for it; None: no such lines
        is_asked: by candidate, whether people are asked about it: only these are left to vote on
    """
    recipe, dataset = status.recipe, status.dataset
    search = f", search {' '.join(recipe.search)}" if recipe.search else ""
    yield (
        f"{dataset.name}: {count_things(len(dataset.web), 'candidate')}, "
        f"{count_things(len(dataset.votes), 'vote')}; "
        f"verdict {recipe.verdict}, min_votes {recipe.min_votes}{search}"
    )
    yield _describe_agreement(status.verdicts)
    yield from _describe_annotators(dataset.votes, recipe)
    yield from _describe_time(dataset.votes)
    yield from _describe_classes(status)
    if level is not None:
        yield from _describe_needs(status, level, is_asked)


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
    from cnlw_tools.dataset.dawid_skene import NotConvergedError
    from cnlw_tools.dataset.verdicts import annotator_error_rates

    decisive = votes.filter(pc.is_valid(votes["correct"]))
    n_anonymous = decisive["annotator"].null_count
    if n_anonymous:
        n_votes_without = count_things(n_anonymous, "vote")
        yield f"annotators: {n_votes_without} without a name, so there are no error rates"
        return
    try:
        table = annotator_error_rates(votes).sort_by([("error", "descending")])
    except NotConvergedError:
        yield (
            "annotators: no error rates, because the model of Dawid and Skene does not converge on "
            "these votes, as when they agree no more than by chance"
        )
        return
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


def _describe_time(votes: "pa.Table") -> Iterator[str]:
    """Yield how long votes took, and a line for each block of votes in order of time."""
    import numpy as np

    from cnlw_tools.dataset.votes_over_time import divide_votes, vote_seconds

    seconds = vote_seconds(votes)
    if len(seconds):
        low, median, high = np.quantile(seconds, [0.1, 0.5, 0.9])
        yield (
            f"seconds for a vote: the median is {median:.1f}, 80 % are from {low:.1f} to "
            f"{high:.1f}; {seconds.sum() / 3600:.1f} hours in all"
        )
    n_undated = votes["at"].null_count
    if n_undated:
        yield f"over time: {count_things(n_undated, 'vote')} without a time left out"
    blocks = divide_votes(votes)
    if blocks:
        yield TIME_HEADING
    for block in blocks:
        time = f"{block.begin:%Y-%m-%d %H:%M} to {block.end:%Y-%m-%d %H:%M}"
        yield (
            f"     {time:36}{block.n_votes:7,}{_percent(block.no):>8}{_percent(block.unsure):>8}"
            f"{_percent(block.agreement):>8}{_number(block.seconds):>8}"
        )


def _percent(share: float) -> str:
    return "-" if share != share else f"{100 * share:.0f} %"


def _number(value: float) -> str:
    return "-" if value != value else f"{value:.1f}"


def _describe_classes(status: "CrawlStatus") -> Iterator[str]:
    """Yield a line for each class: verdicts, images for red noise, and the level they allow."""
    levels = status.levels
    yield HEADING
    for label, name in enumerate(status.dataset.classes):
        shows, shows_not, undecided, no_votes = status.verdict_counts[label]
        level = "?" if levels is None else f"{levels[label]} %"
        yield (
            f"{label:4} {_show_name(name):23}{shows:8,}{shows_not:10,}{undecided:11,}{no_votes:10,}"
            f"{status.n_available[label]:7,}{level:>11}"
        )
    if levels is None:
        yield "red up to: unknown until the photographs are read: give --data-dir"
    elif len(status.dataset.votes):
        yield f"red noise of all classes: {describe_levels(status)}"
    else:
        yield "red noise: nobody has voted yet, so no candidate is known to be wrong"


def _show_name(name: str) -> str:
    """Return the name of a class for a table: on one line, and not endless."""
    from cnlw_tools.registry.counts import shorten
    from cnlw_tools.sources.formats.listing import printable

    return shorten(printable(name))


def describe_levels(status: "CrawlStatus") -> str:
    """Return the highest level of red noise of all classes, and which class limits it."""
    levels = status.levels
    if levels is None:
        return "unknown until the photographs are read: give --data-dir"
    lowest = int(levels.min())
    if lowest == HIGHEST_LEVEL:
        return f"up to {lowest} %"
    return f"up to {lowest} %, limited by {status.dataset.classes[int(levels.argmin())]!r}"


def _describe_needs(
    status: "CrawlStatus", level: int, is_asked: "NDArray[np.bool_]"
) -> Iterator[str]:
    """Yield what each class still needs for a level, and the assumption of the estimate."""
    if status.levels is None:
        return
    from cnlw_tools.dataset.row_selection import filter_rows
    from cnlw_tools.dataset.verdicts import count_verdicts

    needs = status.needs(level)
    asked_candidates = filter_rows(status.dataset.web, is_asked)
    n_left = count_verdicts(asked_candidates, status.verdicts, len(needs.needed))[:, 2:].sum(1)
    title = f"red noise of {level} %"
    yield f"{title:28}{NEEDS_HEADING}"
    is_short = False
    for label, name in enumerate(status.dataset.classes):
        votes, candidates = _estimate(needs.votes[label]), _estimate(needs.candidates[label])
        is_short |= bool(needs.candidates[label] > n_left[label])
        yield (
            f"{label:4} {_show_name(name):23}{needs.needed[label]:8,}{needs.available[label]:8,}"
            f"{needs.missing[label]:9,}{votes:>12}{candidates:>11}{n_left[label]:7,}"
        )
    yield (
        "The last columns estimate how many more votes this takes, on how many of the candidates "
        "left, if they find wrong images as often as the votes so far."
    )
    if is_short:
        yield "a class may have too few candidates left without a verdict: add candidates"


def _estimate(number: float) -> str:
    return f"{number:,.0f}" if number < float("inf") else "unknown"
