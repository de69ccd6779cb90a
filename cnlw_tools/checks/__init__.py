"""`cnlw validate`: a build is what it says, proved from what lies in it."""

from collections.abc import Iterator

from cnlw_tools.checks import files, noise, pixels, roundtrip, rows, splits
from cnlw_tools.checks.collect import collect_evidence
from cnlw_tools.checks.evidence import Evidence
from cnlw_tools.checks.finding import Check, CheckResult, Finding
from cnlw_tools.executor import Progress, no_progress

__all__ = ["CHECKS", "Check", "CheckResult", "Finding", "collect_evidence", "validate"]


def _without_tables(evidence: Evidence) -> str | None:
    return None if evidence.dataset else "the tables cannot be read"


def _without_web_images(evidence: Evidence) -> str | None:
    for name in evidence.card.configs:
        if "web" in evidence.rows(name)["origin"].unique().to_pylist():
            return _without_tables(evidence)
    return _without_tables(evidence) or "no config has web images"


def _without_foreign_images(evidence: Evidence) -> str | None:
    for name in evidence.card.configs:
        if set(evidence.rows(name)["origin"].unique().to_pylist()) - {"base"}:
            return None
    return "no config has foreign images"


def _without_sources(evidence: Evidence) -> str | None:
    return None if evidence.inputs.store else evidence.why_no_source()


def _with_one_config(evidence: Evidence) -> str | None:
    return None if len(evidence.card.configs) > 1 else "there is one config"


CHECKS: tuple[Check, ...] = (
    Check("card", "the card's configs are the files that it describes", files.card),
    Check("hashes", "every shard is there and unchanged", files.hashes),
    Check("tables", "the tables it was made from are there and unchanged", files.tables),
    Check("schema", "columns, types and features are a build's", files.schema, _without_tables),
    Check(
        "segments",
        "every file holds what its name stands for, in key order",
        files.segments,
        _without_tables,
    ),
    Check("counts", "every split has the rows that card and plan say", rows.counts),
    Check(
        "reserved_splits",
        "probe and verified have as many images of each class as asked",
        splits.reserved_splits,
        _without_tables,
    ),
    Check(
        "train_size",
        "train has as many images as asked, classes in proportion",
        splits.train_size,
        _without_tables,
    ),
    Check("disjoint_splits", "no image is in two splits, at any level", splits.disjoint_splits),
    Check("plans", "plans drawn again have the recorded digests", rows.plans, _without_tables),
    Check("rows", "every row equals its row of the plan", rows.rows, _without_tables),
    Check("labels", "labels are those of the class list", rows.labels, _without_tables),
    Check("flags", "is_noisy iff the label is wrong, or nobody knows the right one", rows.flags),
    Check(
        "true_labels",
        "true labels are the base manifest's, of foreign images unknown",
        rows.true_labels,
        _without_tables,
    ),
    Check("rate", "the realised noise is the asked one", noise.rate, _without_tables),
    Check("matrix", "given labels follow the expected matrix", noise.matrix, _without_tables),
    Check(
        "clean_labels",
        "every class keeps its share of clean labels",
        noise.clean_labels,
        _without_tables,
    ),
    Check("nested", "noisy at one level is noisy at the next", noise.nested, _with_one_config),
    Check("verdicts", "every web image was judged wrong", rows.verdicts, _without_web_images),
    Check(
        "replacements",
        "no replaced image is still there",
        rows.replacements,
        _without_foreign_images,
    ),
    Check("decode", "every image decodes", pixels.decode),
    Check("contents", "an id stands for one image", pixels.contents),
    Check("source", "every image is the source's", pixels.source, _without_sources),
    Check(
        "duplicates",
        "no image more often than planned, none of train in validation",
        pixels.duplicates,
    ),
    Check("near_duplicates", "images that look alike are listed", pixels.near_duplicates),
    Check("roundtrip", "load_dataset reads it back", roundtrip.roundtrip),
)


def validate(evidence: Evidence, progress: Progress = no_progress) -> Iterator[CheckResult]:
    """Run every check that applies, and yield what came of each."""
    for done, check in enumerate(CHECKS, 1):
        reason = check.reason_to_skip(evidence)
        findings = [] if reason else list(check.run(evidence))
        yield CheckResult(check.name, check.claim, reason, findings)
        progress("checks", done, len(CHECKS))
