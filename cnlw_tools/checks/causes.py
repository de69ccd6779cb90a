"""Which errors follow from others: one damaged file is one error, whatever else it breaks.

An error of a check in `CAUSES` explains later errors of the checks named there, if both concern
one file of data/. An error of a config concerns all of its files. An error that is explained
need not vanish with its cause: fix the cause, and validate again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cnlw_tools.card.metadata import BuildCard
from cnlw_tools.checks.finding import CheckResult, Consequence, Finding

ROWS = {
    "counts",
    "reserved_splits",
    "train_size",
    "disjoint_splits",
    "labels",
    "flags",
    "true_labels",
    "rate",
    "matrix",
    "clean_labels",
    "nested",
    "verdicts",
    "replacements",
    "duplicates",
    "records",
    "roundtrip",
}
IMAGES = {"pictures", "decode", "contents", "source", "plain", "duplicates", "replacements"}
SHARD = {"rows", *ROWS, *IMAGES}
PLANS = {"card", "text", "segments", *SHARD}
# check -> checks whose errors its own may cause; the first one that explains an error is its cause
CAUSES: Mapping[str, set[str]] = {
    "tables": {"croissant", "plans", "classes", "manifest", "schema", *PLANS},
    "hashes": {"schema", "segments", *SHARD},
    "plans": PLANS,
    "schema": {"segments", *SHARD},
    "segments": SHARD,
    "rows": ROWS,
    "decode": IMAGES | {"records", "roundtrip"},
}
ANYWHERE = {"contents", "text"}  # checks whose errors stand elsewhere than what caused them


@dataclass(frozen=True, slots=True)
class PlacedError:
    """An error with its check and the files of data/ that it concerns."""

    check: str
    finding: Finding
    files: frozenset[str] | None  # none: the build as a whole


def fold_consequences(results: Sequence[CheckResult], card: BuildCard) -> list[CheckResult]:
    """Return the results with each error that follows from another one below that one.

    Checks with errors of their own come first, those whose errors all follow from others next.
    """
    errors = _place_errors(results, card)
    causes = _find_causes(errors)
    consequences: dict[PlacedError, list[Consequence]] = {}
    for error, cause in causes.items():
        consequences.setdefault(cause, []).append(_describe(error))
    folded = []
    for result in results:
        own = [error for error in errors if error.check == result.name]
        findings = []
        for error in own:
            if error not in causes:
                effects = tuple(consequences.get(error, ()))
                findings.append(replace(error.finding, consequences=effects))
        findings += [finding for finding in result.findings if finding.severity != "error"]
        places_of_causes = [causes[error].finding.location for error in own if error in causes]
        distinct = tuple(dict.fromkeys(places_of_causes))
        folded.append(replace(result, findings=findings, causes=distinct))
    return sorted(folded, key=_rank)


def _place_errors(results: Sequence[CheckResult], card: BuildCard) -> list[PlacedError]:
    """Return all errors with the files that they concern."""
    places = files_by_place(card)
    errors = []
    for result in results:
        for finding in result.findings:
            if finding.severity == "error":
                errors.append(_place(result.name, finding, places))
    return errors


def files_by_place(card: BuildCard) -> dict[str, frozenset[str]]:
    """Return the files of each config, and of the configs that a sample picture may show."""
    places = {}
    for name, config in card.configs.items():
        segments = {segment for names in config.segments.values() for segment in names}
        files = frozenset(name for name in card.shards if name.partition("-")[0] in segments)
        places[name] = files
        picture = f"samples_{config.recipe.noise}.png"
        places[picture] = places.get(picture, frozenset()) | files
    return places


def _place(check: str, finding: Finding, places: Mapping[str, frozenset[str]]) -> PlacedError:
    """Return an error with the files of data/ that its location stands for."""
    if check in ANYWHERE:
        return PlacedError(check, finding, None)
    folder, _, file = finding.location.partition(" row ")[0].rpartition("/")
    if folder == "data":
        return PlacedError(check, finding, frozenset([file]))
    names = finding.location.split(", ")
    if not places.keys() >= {*names}:
        return PlacedError(check, finding, None)
    return PlacedError(check, finding, frozenset().union(*(places[name] for name in names)))


def _find_causes(errors: Sequence[PlacedError]) -> dict[PlacedError, PlacedError]:
    """Return the cause of each error that has one."""
    causes: dict[PlacedError, PlacedError] = {}
    for check, effects in CAUSES.items():
        candidates = [error for error in errors if error.check == check and error not in causes]
        candidates.sort(key=lambda error: error.files is not None)
        by_file: dict[str, PlacedError] = {}
        for candidate in candidates:
            for file in candidate.files or ():
                by_file.setdefault(file, candidate)
        for error in errors:
            if error.check in effects - {check} and error not in causes:
                cause = _choose_cause(error, candidates, by_file)
                causes |= {error: cause} if cause else {}
    return causes


def _choose_cause(
    error: PlacedError, candidates: Sequence[PlacedError], by_file: Mapping[str, PlacedError]
) -> PlacedError | None:
    """Return the first candidate that concerns the build as a whole, or a file of an error."""
    if not candidates:
        return None
    if error.files is None or candidates[0].files is None:
        return candidates[0]
    shared = sorted(error.files & by_file.keys())
    return by_file[shared[0]] if shared else None


def _describe(error: PlacedError) -> Consequence:
    """Return an error as it stands below its cause."""
    finding = error.finding
    return Consequence(error.check, finding.message, finding.location, finding.count)


def _rank(result: CheckResult) -> int:
    """Return the place of a result: own errors, errors that follow, all others."""
    if any(finding.severity == "error" for finding in result.findings):
        return 0
    return 1 if result.causes else 2
