"""The conclusion: sentences that say which method is ahead, where, by how much and how certainly.

A method is ahead of another one if the 95 % t-intervals of their means over seeds do not overlap
(`statistics.is_above`); bold type in the tables follows the same rule. One seed has no interval, so
a method with one seed is neither ahead nor behind.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from cnlw_tools.registry.counts import count_things, join_words
from cnlw_tools.reports.method_order import BASELINE
from cnlw_tools.reports.statistics import MeanInterval, is_above
from cnlw_tools.reports.tables import ResultGroup, group_results, result_cells
from cnlw_tools.reports.trials import PlannedRun, Trial

MAX_CONFIGS = 12  # that a sentence lists


class Conclusion(NamedTuple):
    """What the runs on one kind of noise show."""

    subject: str  # dataset and kind of noise
    sentences: list[str]


class Score(NamedTuple):
    """The result of a method on a config."""

    method: str
    result: MeanInterval


class Standing(NamedTuple):
    """How methods stand on one config."""

    config: str  # as a sentence calls it: a level, or a name
    scores: list[Score]  # the highest mean first

    @property
    def leader(self) -> Score:
        """The method with the highest mean."""
        return self.scores[0]

    @property
    def lead(self) -> float:
        """By how many percentage points the highest mean is above that of the runner-up."""
        return self.leader.result.mean - self.scores[1].result.mean

    @property
    def rivals(self) -> list[Score]:
        """The methods whose intervals overlap with that of the leader."""
        scores = self.scores[1:]
        return [score for score in scores if not is_above(self.leader.result, score.result)]

    @property
    def has_spread(self) -> bool:
        """Whether the leader and its rivals all have two seeds or more."""
        return all(score.result.n > 1 for score in (self.leader, *self.rivals))


def find_conclusions(
    selected: Sequence[Trial],
    metric: str,
    planned_runs: Collection[PlannedRun] = (),
    study_methods: Sequence[str] = (),
    all_trials: Sequence[Trial] = (),
) -> list[Conclusion]:
    """Return who is ahead, for each dataset and kind of noise.

    Args:
        selected: the best trial of each method on each config, and those that are not averaged
        metric: last, best or mean10
        planned_runs: those that a study asks for
        study_methods: methods in the order of the study
        all_trials: of which the selected ones are the best
    """
    conclusions = []
    for group in group_results(selected, planned_runs, study_methods):
        sentences = describe_group(group, metric)
        if sentences:
            sentences += _describe_lengths(group)
            sentences += _describe_selection(group, all_trials)
            conclusions.append(Conclusion(group.title, sentences))
    return conclusions


def describe_group(group: ResultGroup, metric: str) -> list[str]:
    """Return sentences on one dataset and kind of noise; none if no run has come to its end."""
    has_levels = bool(group.family)
    standings = rank_methods(group, metric)
    compared = [standing for standing in standings if len(standing.scores) > 1]
    if not standings:
        return []
    if not compared:
        sentences = [_describe_single(standings, has_levels)]
        if len({standing.leader.method for standing in standings}) == 1:
            sentences += _describe_missing(group, metric, has_levels)
        return sentences
    clear = [standing for standing in compared if not standing.rivals]
    open_standings = [standing for standing in compared if standing.rivals]
    overlapping = [standing for standing in open_standings if standing.has_spread]
    unsure = [standing for standing in open_standings if not standing.has_spread]
    sentences = _describe_clear(clear, has_levels)
    sentences += _describe_overlapping(overlapping, has_levels)
    sentences += _describe_unsure(unsure, has_levels)
    sentences += _compare_with_baseline(compared[-1], has_levels)
    sentences += _list_above_baseline(compared[:-1], has_levels)
    sentences += _describe_missing(group, metric, has_levels)
    return sentences


def rank_methods(group: ResultGroup, metric: str) -> list[Standing]:
    """Return how methods stand on each config that has a result, in the order of configs."""
    cells = result_cells(group, metric)
    standings = []
    for i, (config, level) in enumerate(group.levels.items()):
        scores = []
        for method, row in cells.items():
            result = row[i].result
            if result is not None:
                scores.append(Score(method, result))
        scores.sort(key=lambda score: -score.result.mean)  # of equals, the order stays
        if scores:
            standings.append(Standing(config if level is None else str(level), scores))
    return standings


def _describe_single(standings: Sequence[Standing], has_levels: bool) -> str:
    """Say what accuracy the one method has, if there is no other to compare it with."""
    methods = {standing.leader.method for standing in standings}
    if len(methods) > 1:
        pairs = []
        for standing in standings:
            pairs.append(f"{standing.leader.method} {_at([standing], has_levels)}")
        return (
            "No two methods have a result on the same config. There are results for "
            f"{join_words(pairs)}."
        )
    (method,) = methods
    standings = sorted(standings, key=lambda standing: standing.leader.result.mean)
    lowest, highest = standings[0], standings[-1]
    numbers = f"{_number(highest.leader.result)} {_at([highest], has_levels)}"
    verb = "is"
    if len(standings) > 1:
        verb = "ranges from"
        numbers = f"{_number(lowest.leader.result)} {_at([lowest], has_levels)} to {numbers}"
    seeds = _seeds(lowest.leader, highest.leader)
    return f"The accuracy of {method} {verb} {numbers}{seeds}."


def _describe_clear(standings: Sequence[Standing], has_levels: bool) -> list[str]:
    """Say who is ahead of all others."""
    sentences = []
    for leader, led in _group_by_leader(standings).items():
        widest = max(led, key=lambda standing: standing.lead)
        second = widest.scores[1]
        has_two = len(widest.scores) == 2
        losers = second.method if has_two else f"the {len(widest.scores) - 1} other methods"
        numbers = f"{_number(widest.leader.result)} against {_number(second.result)}"
        if not has_two:
            numbers += f" for the runner-up, {second.method}"
        numbers += _seeds(widest.leader, second)
        lead = f"{losers} by {_range_of_leads(led)}"
        if len(led) > 1:
            if not has_two:
                lead = f"all others; its lead over the runner-up is {_range_of_leads(led)}"
            numbers = f". The lead is largest {_at([widest], has_levels)}, with {numbers}"
        else:
            numbers = f": {numbers}"
        place = _capital(_at(led, has_levels))
        sentences.append(f"{place}, {leader} is ahead of {lead}{numbers}.")
    return sentences


def _describe_overlapping(standings: Sequence[Standing], has_levels: bool) -> list[str]:
    """Say where no method is ahead of all others, and who has the highest mean."""
    if not standings:
        return []
    place = _capital(_at(standings, has_levels))
    has_two = all(len(standing.scores) == 2 for standing in standings)
    nobody = "neither method is ahead" if has_two else "no method is ahead of all others"
    if len(standings) > 1:
        leaders = _list_leaders(standings, has_levels)
        return [
            f"{place}, {nobody}, because intervals over seeds overlap. The highest means are "
            f"those of {leaders}."
        ]
    (standing,) = standings
    rivals = [score.method for score in standing.rivals]
    leader = standing.leader.method
    if len(rivals) == 1:
        overlap = (
            f"The intervals of {leader} and {rivals[0]} overlap, so the difference may be due to "
            "chance"
        )
    else:
        overlap = (
            f"The interval of {leader} overlaps with the intervals of {join_words(rivals)}, so the "
            "differences may be due to chance"
        )
    sentences = [f"{place}, {_lead_in_numbers(standing)}."]
    return sentences if standing.lead == 0 else [*sentences, f"{overlap}."]


def _describe_unsure(standings: Sequence[Standing], has_levels: bool) -> list[str]:
    """Say who has the highest number where a method has one seed, and so no spread."""
    if not standings:
        return []
    place = _capital(_at(standings, has_levels))
    methods: dict[str, None] = {}
    for standing in standings:
        for score in (standing.leader, *standing.rivals):
            if score.result.n == 1:
                methods[score.method] = None
    if len(standings) > 1:
        numbers = f"the highest means are those of {_list_leaders(standings, has_levels)}"
    else:
        numbers = _lead_in_numbers(standings[0])
    have = "has one seed" if len(methods) == 1 else "have one seed each"
    return [
        f"{place}, {numbers}. {join_words(list(methods))} {have}, so there is no interval, and "
        "the difference may be due to chance."
    ]


def _compare_with_baseline(standing: Standing, has_levels: bool) -> list[str]:
    """Say which methods are above vanilla and below it on the last config."""
    results = {score.method: score.result for score in standing.scores}
    baseline = results.pop(BASELINE, None)
    if baseline is None or baseline.n < 2 or len(results) < 2:
        return []
    better = [method for method, result in results.items() if is_above(result, baseline)]
    worse = [method for method, result in results.items() if is_above(baseline, result)]
    if len(worse) == len(results):
        return []  # it is the leader, and that has been said
    place = _at([standing], has_levels)
    if not better and not worse:
        return [
            f"{_capital(place)}, the interval of {BASELINE} ({_number(baseline)}) overlaps with "
            "the intervals of all other methods."
        ]
    overlapping = [method for method in results if method not in (*better, *worse)]
    clauses: list[str] = []
    for methods, comparison in ((better, "higher"), (worse, "lower")):
        if methods:
            clauses.append(f"{_intervals_of(methods, bool(clauses))} {comparison}")
    if overlapping:
        words = _intervals_of(overlapping, bool(clauses)).rpartition(" ")[0]
        verb = "overlaps" if len(overlapping) == 1 else "overlap"
        clauses.append(f"{words} {verb} with it")
    return [
        f"Compared with the interval of {BASELINE} {place} ({_number(baseline)}), "
        f"{join_words(clauses)}."
    ]


def _list_above_baseline(standings: Sequence[Standing], has_levels: bool) -> list[str]:
    """Say which methods are ahead of vanilla on the other configs, but not ahead of all others."""
    places: dict[str, list[Standing]] = {}  # by method
    for standing in standings:
        results = {score.method: score.result for score in standing.scores}
        baseline = results.get(BASELINE)
        leader = None if standing.rivals else standing.leader.method  # this has been said
        for method, result in results.items():
            if baseline and method != leader and is_above(result, baseline):
                places.setdefault(method, []).append(standing)
    return [
        f"{_capital(_at(ahead, has_levels))}, {method} is ahead of {BASELINE}."
        for method, ahead in places.items()
    ]


def _describe_missing(group: ResultGroup, metric: str, has_levels: bool) -> list[str]:
    """Say which methods lack a result on which configs."""
    missing: dict[str, list[Standing]] = {}
    for method, row in result_cells(group, metric).items():
        for (config, level), cell in zip(group.levels.items(), row, strict=True):
            if cell.result is None:
                standing = Standing(config if level is None else str(level), [])
                missing.setdefault(method, []).append(standing)
    if not missing:
        return []
    names = [f"{method} {_at(configs, has_levels)}" for method, configs in missing.items()]
    return [f"There is no result for {join_words(names)}."]


def _describe_lengths(group: ResultGroup) -> list[str]:
    """Say so if runs of unlike length are compared: methods on one config."""
    lengths: dict[str, dict[int, list[str]]] = {}  # by config, the methods by number of epochs
    for trial in group.trials:
        if trial.n_epochs:
            methods = lengths.setdefault(trial.config, {}).setdefault(trial.n_epochs, [])
            methods.append(trial.method)
    unlike: dict[str, list[Standing]] = {}  # by the lengths in words, the configs that have them
    for config, methods_by_length in lengths.items():
        if len(methods_by_length) > 1:
            by_length = sorted(methods_by_length.items())
            parts = [f"{join_words(names)} for {n_epochs}" for n_epochs, names in by_length]
            level = group.levels[config]
            standing = Standing(config if level is None else str(level), [])
            unlike.setdefault("; ".join(parts), []).append(standing)
    sentences = []
    for words, configs in unlike.items():
        place = _capital(_at(configs, bool(group.family)))
        sentences.append(
            f"{place}, the methods were trained for different numbers of epochs: {words}."
        )
    return sentences


def _describe_selection(group: ResultGroup, all_trials: Sequence[Trial]) -> list[str]:
    """Say of which methods the best of several trials counts."""
    counts: dict[tuple[str, str], int] = {}
    for trial in all_trials:
        if trial.dataset == group.dataset and trial.config in group.levels:
            key = (trial.method, trial.config)
            counts[key] = counts.get(key, 0) + 1
    n_trials: dict[str, int] = {}
    for (method, _), count in counts.items():
        n_trials[method] = max(count, n_trials.get(method, 0))
    names = [f"{count} trials of {method}" for method, count in n_trials.items() if count > 1]
    if not names:
        return []
    return [
        f"If a method has several trials, the best one is used ({join_words(names)}); it was "
        "chosen on the same validation images."
    ]


def _group_by_leader(standings: Sequence[Standing]) -> Mapping[str, list[Standing]]:
    groups: dict[str, list[Standing]] = {}
    for standing in standings:
        groups.setdefault(standing.leader.method, []).append(standing)
    return groups


def _list_leaders(standings: Sequence[Standing], has_levels: bool) -> str:
    """Return ``mixup at level 0 and vanilla at level 10. They exceed ... by ... points``."""
    parts = []
    for leader, led in _group_by_leader(standings).items():
        parts.append(f"{leader} {_at(led, has_levels)}")
    leads = _range_of_leads(standings)
    return f"{join_words(parts)}. They exceed the second-highest means by {leads}"


def _lead_in_numbers(standing: Standing) -> str:
    """Return ``mixup has the highest mean, 60.00 ± 1.00 %, 2.00 points above vanilla ...``."""
    leader, second = standing.scores[:2]
    if standing.lead == 0:
        equals = [score for score in standing.scores if score.result.mean == leader.result.mean]
        names = join_words([score.method for score in equals])
        return f"{names} share the highest mean, {_number(leader.result)}{_seeds(leader, second)}"
    return (
        f"{leader.method} has the highest mean, {_number(leader.result)}. This is "
        f"{_points(standing.lead)} above the mean of {second.method}, "
        f"{_number(second.result)}{_seeds(leader, second)}"
    )


def _range_of_leads(standings: Sequence[Standing]) -> str:
    leads = [standing.lead for standing in standings]
    if len(leads) == 1:
        return _points(leads[0])
    return f"{min(leads):.2f} to {_points(max(leads))}"


def _intervals_of(methods: Sequence[str], is_continued: bool) -> str:
    """Return ``the intervals of mixup and gce are``, or ``those of ...`` after other methods."""
    if len(methods) == 1:
        return f"{'that' if is_continued else 'the interval'} of {methods[0]} is"
    return f"{'those' if is_continued else 'the intervals'} of {join_words(methods)} are"


def _seeds(first: Score, second: Score) -> str:
    """Return how many seeds two means are over, in brackets."""
    n_first, n_second = first.result.n, second.result.n
    if n_first != n_second:
        return f" ({count_things(n_first, 'seed')} against {n_second})"
    seeds = "one seed" if n_first == 1 else f"{n_first} seeds"
    return f" ({seeds})" if first is second else f" ({seeds} each)"


def _at(standings: Sequence[Standing], has_levels: bool) -> str:
    """Return where some standings are: ``at levels 20 and 40``, ``on mix_a5``."""
    names = join_words([standing.config for standing in standings], MAX_CONFIGS)
    if not has_levels:
        return f"on {names}"
    return f"at level {names}" if len(standings) == 1 else f"at levels {names}"


def _number(result: MeanInterval) -> str:
    if result.n == 1:
        return f"{result.mean:.2f} %"
    return f"{result.mean:.2f} ± {result.half_width:.2f} %"


def _points(difference: float) -> str:
    return f"{difference:.2f} percentage points"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
