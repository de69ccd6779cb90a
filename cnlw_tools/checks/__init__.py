"""`cnlw validate`: a build is what it says, proved from what lies in it. The checks are the tuple below."""

from collections.abc import Iterator

from cnlw_tools.checks import files, noise, pixels, roundtrip, rows, splits
from cnlw_tools.checks.evidence import Evidence
from cnlw_tools.checks.finding import Check, Finding
from cnlw_tools.checks.gather import collect_evidence
from cnlw_tools.executor import Progress, no_progress

__all__ = ["CHECKS", "Check", "Finding", "collect_evidence", "validate"]


def _tables(found: Evidence) -> str | None:
    return None if found.dataset else "the tables cannot be read"


def _web(found: Evidence) -> str | None:
    some = any("web" in found.rows(name)["origin"].to_pylist() for name in found.record.configs)
    return _tables(found) or (None if some else "no config has web images")


def _foreign(found: Evidence) -> str | None:
    some = any(
        {*found.rows(name)["origin"].unique().to_pylist()} - {"base"}
        for name in found.record.configs
    )
    return None if some else "no config has foreign images"


def _sources(found: Evidence) -> str | None:
    return None if found.inputs.store else found.no_source()


def _levels(found: Evidence) -> str | None:
    return None if len(found.record.configs) > 1 else "there is one config"


CHECKS: tuple[Check, ...] = (
    Check("card", "the card's configs are the files it speaks of", files.card),
    Check("hashes", "every shard is there and unchanged", files.hashes),
    Check("tables", "the tables it was made from are there and unchanged", files.tables),
    Check("schema", "columns, types and features are the export's", files.schema, _tables),
    Check(
        "segments",
        "every file holds what its name stands for, in key order",
        files.segments,
        _tables,
    ),
    Check("counts", "rows of each split", rows.counts),
    Check(
        "parts",
        "probe and verified have as many images of each class as asked",
        splits.parts,
        _tables,
    ),
    Check(
        "thinned",
        "train has as many images as asked, classes in proportion",
        splits.thinned,
        _tables,
    ),
    Check("apart", "no image is in two splits, at any level", splits.apart),
    Check("plans", "plans drawn again have the recorded digests", rows.plans, _tables),
    Check("rows", "every row equals its row of the plan", rows.rows, _tables),
    Check("labels", "labels are those of the class list", rows.labels, _tables),
    Check("flags", "is_noisy iff the label is wrong, or nobody knows the right one", rows.flags),
    Check(
        "truth",
        "true labels are the base manifest's, of foreign images unknown",
        rows.truth,
        _tables,
    ),
    Check("rate", "the realised noise is the asked one", noise.rate, _tables),
    Check("matrix", "given labels follow the expected matrix", noise.matrix, _tables),
    Check("kept", "every class keeps its share of clean labels", noise.kept, _tables),
    Check("nested", "noisy at one level is noisy at the next", noise.nested, _levels),
    Check("judged", "every web image was judged wrong", rows.judged, _web),
    Check("replaced", "no replaced image is still there", rows.replaced, _foreign),
    Check("decode", "every image decodes", pixels.decode),
    Check("contents", "an id stands for one image", pixels.contents),
    Check("source", "every image is the source's", pixels.source, _sources),
    Check(
        "duplicates",
        "no image oftener than planned, none of train in validation",
        pixels.duplicates,
    ),
    Check("near", "near-duplicates", pixels.near),
    Check("roundtrip", "load_dataset reads it back", roundtrip.roundtrip),
)


def validate(
    found: Evidence, progress: Progress = no_progress
) -> Iterator[tuple[Check, str | None, list[Finding]]]:
    """Yield every check, why it does not apply (or none), and what it found."""
    for i, check in enumerate(CHECKS):
        why_not = check.applies(found)
        yield check, why_not, [] if why_not else list(check.run(found))
        progress("checks", i + 1, len(CHECKS))
