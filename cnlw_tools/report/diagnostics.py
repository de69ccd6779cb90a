"""What the builds add to a report: matrices, galleries, how well methods told what was noisy."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from cnlw_tools.build import ground_truth
from cnlw_tools.build.ground_truth import Truth
from cnlw_tools.card import heatmap
from cnlw_tools.report import detection
from cnlw_tools.report.context import Build, Seen
from cnlw_tools.report.statistics import Spread, spread
from cnlw_tools.report.study_file import Said
from cnlw_tools.report.tables import NOTHING, Sheet
from cnlw_tools.report.trials import natural

CAPTION = (
    "Of the last epoch, mean over runs in percent. By weight: examples that weighed less than half the mean weight "
    "are taken for noisy; a dash: all weighed the same. By loss: of the highest losses, as many as there are noisy "
    "examples, the share that is noisy."
)


@dataclass(slots=True)
class Known:
    """Pictures with their titles, and tables."""

    matrices: list[tuple[str, Image.Image]] = field(default_factory=list)
    galleries: list[tuple[str, Image.Image]] = field(default_factory=list)
    detection: list[Sheet] = field(default_factory=list)


def truths(places: Iterable[Build]) -> tuple[dict[Build, Truth], list[str]]:
    """Return what builds know of their configs, and what could not be had, and why."""
    found: dict[Build, Truth] = {}
    lacking = []
    for build, config in sorted({*places}, key=lambda place: (place[0], natural(place[1]))):
        try:
            found[build, config] = ground_truth.load(build, config)
        except (ValueError, LookupError, OSError) as error:
            lacking.append(f"{config}: no matrix, gallery or noise detection: {error}")
    return found, lacking


def known(seen: Seen) -> tuple[Known, list[str]]:
    """Return what the builds add, and what could not be had, and why; detection is of the chosen trials."""
    lacking: list[str] = []
    rows = []
    for trial in seen.trials:
        told = []
        for run in seen.of(trial):
            held = seen.truth(run)
            try:
                told += [detection.detection(run, held)] if held else []
            except ValueError as error:
                lacking.append(str(error))
        if there := [d for d in told if d and not math.isnan(d.by_loss)]:
            numbers = (
                _percent([getattr(d, name) for d in there])
                for name in ("precision", "recall", "by_loss")
            )
            rows.append([trial.dataset, trial.config, trial.method, *numbers, str(len(there))])
    made = Known(detection=[Sheet("Noise detection", HEAD, rows, CAPTION, words=3)] if rows else [])
    for build in sorted({build for build, _ in seen.truths}):
        _pictures(made, build, [t for (b, _), t in seen.truths.items() if b == build], seen.said)
    return made, lacking


HEAD = [
    "Dataset",
    "Config",
    "Method",
    "Precision by weight",
    "Recall by weight",
    "Precision by loss",
    "Runs",
]


def _pictures(made: Known, build: Path, some: Sequence[Truth], said: Said) -> None:
    """Draw the matrices of a build's configs, equal ones once; a gallery of the noisiest of each noise and origin."""
    alike: dict[bytes, list[Truth]] = {}
    noisiest: dict[str, Truth] = {}
    for held in some:
        alike.setdefault(held.matrix.tobytes(), []).append(held)
        if held.noisy.any() and (
            held.noise not in noisiest or held.noisy.mean() > noisiest[held.noise].noisy.mean()
        ):
            noisiest[held.noise] = held
    made.matrices += [
        (
            f"{build.name}: {', '.join(t.config for t in one)}",
            heatmap.draw_matrices([("", one[0].matrix)], one[0].classes),
        )
        for one in alike.values()
    ]
    for held in noisiest.values():
        made.galleries += [
            (f"{build.name}, {held.config}, noisy images from {o}", held.gallery(o))
            for o in held.foreign
        ]


def _percent(shares: Sequence[float]) -> str:
    there = [100 * share for share in shares if not math.isnan(share)]
    if not there:
        return NOTHING
    found: Spread = spread(there)
    return f"{found.mean:.1f}" + ("" if found.n == 1 else f" ± {found.half:.1f}")
