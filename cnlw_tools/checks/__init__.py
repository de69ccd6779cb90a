"""`cnlw validate`: prove from the files of a build that its content is as its card says.

Functions named `_skip_...` return the reason to skip a check, or None if the check applies.
"""

from collections.abc import Iterator
from pathlib import Path

from cnlw_tools.checks import (
    card,
    croissant,
    files,
    noise,
    origin,
    pixels,
    roundtrip,
    rows,
    splits,
)
from cnlw_tools.checks.causes import fold_consequences
from cnlw_tools.checks.collect import collect_evidence
from cnlw_tools.checks.evidence import Evidence
from cnlw_tools.checks.finding import Check, CheckResult, Finding
from cnlw_tools.executor import Executor, Progress, no_progress
from cnlw_tools.files.mapped import release_pages

__all__ = [
    "CHECKS",
    "Check",
    "CheckResult",
    "Finding",
    "collect_evidence",
    "fold_consequences",
    "run_checks",
    "validate",
]


def _skip_without_tables(evidence: Evidence) -> str | None:
    return None if evidence.dataset else "the tables cannot be read"


def _skip_without_plans(evidence: Evidence) -> str | None:
    if not evidence.card.configs:
        return "the card describes no config"
    if evidence.plan_errors:
        return "a plan cannot be drawn again"
    return _skip_without_tables(evidence)


def _skip_without_web_images(evidence: Evidence) -> str | None:
    for name in evidence.card.configs:
        if "web" in evidence.rows(name)["origin"].unique().to_pylist():
            return _skip_without_tables(evidence)
    return _skip_without_tables(evidence) or "no config has web images"


def _skip_without_foreign_images(evidence: Evidence) -> str | None:
    for name in evidence.card.configs:
        if set(evidence.rows(name)["origin"].unique().to_pylist()) - {"base"}:
            return None
    return "no config has foreign images"


def _skip_without_opened_source(evidence: Evidence) -> str | None:
    return evidence.why_no_source() or _skip_without_tables(evidence)


def _skip_without_sources(evidence: Evidence) -> str | None:
    inputs = evidence.inputs
    return None if inputs.store or inputs.data_dir else evidence.why_no_source()


def _skip_without_mlcroissant(evidence: Evidence) -> str | None:
    return _skip_without_plans(evidence) or croissant.why_not_read(evidence)


def _skip_with_one_config(evidence: Evidence) -> str | None:
    return None if len(evidence.card.configs) > 1 else "there is only one config"


CHECKS: tuple[Check, ...] = (
    Check("inventory", "the folder holds the files that the build lists", files.inventory),
    Check("card", "the YAML block of the card agrees with the tables and files", card.card),
    Check(
        "text",
        "the text of the card agrees with its YAML block",
        card.text,
        _skip_without_plans,
    ),
    Check(
        "croissant",
        "the file croissant.json agrees with the card and the tables",
        croissant.croissant,
        _skip_without_plans,
    ),
    Check("hashes", "every shard exists and is unchanged", files.hashes),
    Check(
        "tables",
        "the tables of the dataset exist, are unchanged and hold no e-mail addresses",
        files.tables,
    ),
    Check(
        "pictures",
        "the sample pictures on the card show images of the build",
        card.pictures,
        _skip_without_plans,
    ),
    Check(
        "classes",
        "the class names are those of the original dataset",
        origin.classes,
        _skip_without_tables,
    ),
    Check(
        "manifest",
        "the manifest has the labels and splits of the original dataset",
        origin.manifest,
        _skip_without_opened_source,
    ),
    Check(
        "schema",
        "every shard has the columns, types and features that a build must have",
        files.schema,
        _skip_without_tables,
    ),
    Check(
        "segments",
        "every file holds the rows of its segment, in an order that does not depend on the noise",
        files.segments,
        _skip_without_tables,
    ),
    Check(
        "counts", "every split has the number of rows that the card and the plan state", rows.counts
    ),
    Check(
        "reserved_splits",
        "the splits validation, probe and verified have the requested number of images per class",
        splits.reserved_splits,
        _skip_without_tables,
    ),
    Check(
        "train_size",
        "the split train has the requested number of images, with the original class proportions",
        splits.train_size,
        _skip_without_tables,
    ),
    Check("disjoint_splits", "no image is in two splits, at any level", splits.disjoint_splits),
    Check(
        "plans",
        "every plan has the recorded digest when it is drawn again",
        rows.plans,
        _skip_without_tables,
    ),
    Check(
        "rows",
        "every row of a shard agrees with its row in the plan",
        rows.rows,
        _skip_without_tables,
    ),
    Check("labels", "every label is in the class list", rows.labels, _skip_without_tables),
    Check(
        "flags",
        "the column is_noisy marks the rows whose label is wrong or whose true class is unknown",
        rows.flags,
    ),
    Check(
        "true_labels",
        "true classes are those of the manifest; foreign images have none, or the class of "
        "outliers",
        rows.true_labels,
        _skip_without_tables,
    ),
    Check(
        "rate",
        "the realised noise rate agrees with the expected rate",
        noise.rate,
        _skip_without_tables,
    ),
    Check(
        "matrix",
        "given labels follow the expected transition matrix",
        noise.matrix,
        _skip_without_tables,
    ),
    Check(
        "clean_labels",
        "every class has the expected number of examples that are not noisy",
        noise.clean_labels,
        _skip_without_tables,
    ),
    Check(
        "nested",
        "rows that are noisy at one level are noisy at the next higher one",
        noise.nested,
        _skip_with_one_config,
    ),
    Check(
        "verdicts",
        "every web image was judged not to show its class",
        rows.verdicts,
        _skip_without_web_images,
    ),
    Check(
        "replacements",
        "no config contains an image that its noise has replaced",
        rows.replacements,
        _skip_without_foreign_images,
    ),
    Check("decode", "every image can be decoded", pixels.decode),
    Check("contents", "every image id stands for only one image", pixels.contents),
    Check("source", "every image equals the original image", pixels.source, _skip_without_sources),
    Check(
        "plain",
        "image files contain only pixels, or are identical to the original files",
        pixels.plain,
    ),
    Check(
        "duplicates",
        "no image occurs more often than planned, or in both train and validation",
        pixels.duplicates,
    ),
    Check(
        "near_duplicates",
        "no two images look alike; if two do, this is a note, not an error",
        pixels.near_duplicates,
    ),
    Check(
        "records",
        "the library mlcroissant can read the first row of every split from croissant.json",
        croissant.records,
        _skip_without_mlcroissant,
    ),
    Check("roundtrip", "the rows are the same when load_dataset reads them", roundtrip.roundtrip),
)


def validate(
    evidence: Evidence,
    executor: Executor | None = None,
    progress: Progress = no_progress,
    cache: Path | None = None,
) -> list[CheckResult]:
    """Run every check that applies, and return the results: errors first, each with what it causes.

    Args:
        evidence: the build
        executor: where a network is trained on every config, to check how noise affects it; none:
            this is not checked
        progress: is told how many checks are done
        cache: folder of decoded images to train on; none: the usual one
    """
    results = list(run_checks(evidence, progress))
    if executor:
        from cnlw_tools.checks.learnability import check_learnability, skip_learnability

        if any(finding.severity == "error" for result in results for finding in result.findings):
            results += skip_learnability("the build has errors")
        else:
            results += check_learnability(evidence.folder, executor, progress, cache)
    return fold_consequences(results, evidence.card)


def run_checks(evidence: Evidence, progress: Progress = no_progress) -> Iterator[CheckResult]:
    """Run every check that applies, and yield the result of each check."""
    n_quick = len(CHECKS) - 1  # the last one tells of its own progress
    for done, check in enumerate(CHECKS, 1):
        reason = check.reason_to_skip(evidence)
        findings = [] if reason else list(check.run(evidence))
        release_pages()
        yield CheckResult(check.name, check.claim, reason, findings)
        if done <= n_quick:
            progress("checks", done, n_quick)
