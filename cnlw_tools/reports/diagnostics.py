"""What the builds add to a report: matrices, galleries, how well methods detected noise."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cnlw_tools.builds import ground_truth
from cnlw_tools.builds.ground_truth import Truth
from cnlw_tools.card import heatmap
from cnlw_tools.reports.context import ReportContext, TitledImage
from cnlw_tools.reports.detection import Detection, detect_noise
from cnlw_tools.reports.statistics import mean_interval
from cnlw_tools.reports.study_file import BuildConfig
from cnlw_tools.reports.tables import EMPTY, Table
from cnlw_tools.reports.trials import Trial, natural_sort_key

DETECTION_HEADER = [
    "Dataset",
    "Config",
    "Method",
    "Classified as noisy",
    "Precision",
    "Recall",
    "Precision by loss",
    "Runs",
]
MARK_NAMES = {
    "removed": "removed",
    "down_weighted": "weight below half the mean",
    "relabelled": "relabelled",
}
DETECTION_CAPTION = (
    "The table refers to the last epoch. The numbers are percentages: means over runs, ± the "
    'half-width of the 95 % t-interval if there are several runs. The column "Classified as '
    'noisy" gives the rule by which an example is classified as noisy. In the rule "weight below '
    'half the mean", the mean is that of the weights of all examples. Precision is the '
    "share of noisy examples among those classified as noisy. Recall is the share of noisy "
    "examples that are classified as noisy. In these two columns, a dash means that no example is "
    "classified as noisy. Examples that the method removed from training are included; other "
    "examples that were not seen in the last epoch are left out. Precision by loss is the share "
    "of noisy examples among the n examples with the highest losses, where n is the number of "
    "noisy examples. In that column, a dash means that some examples were removed and have no "
    "loss."
)


@dataclass(slots=True)
class Diagnostics:
    """What the ground truth of the builds adds to a report."""

    matrices: list[TitledImage] = field(default_factory=list)
    galleries: list[TitledImage] = field(default_factory=list)
    detection: list[Table] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # what is missing, and why


def load_truths(
    build_configs: Iterable[BuildConfig],
) -> tuple[dict[BuildConfig, Truth], list[str]]:
    """Return the ground truth of all configs that can be read, and why others cannot."""
    truths: dict[BuildConfig, Truth] = {}
    problems = []
    ordered = sorted(set(build_configs), key=lambda key: (key[0], natural_sort_key(key[1])))
    for build, config in ordered:
        try:
            truths[build, config] = ground_truth.load(build, config)
        except (ValueError, LookupError, OSError) as error:
            problems.append(f"{config}: no matrix, gallery or noise detection: {error}")
    return truths, problems


def make_diagnostics(context: ReportContext) -> Diagnostics:
    """Return matrices and galleries of all builds, and the noise detection of the best trials."""
    diagnostics = Diagnostics()
    rows = []
    for trial in context.trials:
        detections = _detections(context, trial, diagnostics.problems)
        for mark, run_detections in detections.items():
            rows.append(_detection_row(trial, mark, run_detections))
    if rows:
        diagnostics.detection = [
            Table(
                title="Noise detection",
                header=DETECTION_HEADER,
                rows=rows,
                caption=DETECTION_CAPTION,
                n_text_columns=4,
            )
        ]
    for build, truths in _truths_by_build(context.truths).items():
        diagnostics.matrices += _matrix_images(build, truths)
        diagnostics.galleries += _galleries(build, truths)
    return diagnostics


def _detections(
    context: ReportContext,
    trial: Trial,
    problems: list[str],
) -> dict[str, list[Detection]]:
    """Return how well each run of a trial detected noise, by the mark, where there is noise."""
    detections: dict[str, list[Detection]] = {}
    for run in context.finished_runs(trial):
        truth = context.truth(run)
        if truth is None or not truth.noisy.any():
            continue
        try:
            run_detections = detect_noise(run, truth)
        except ValueError as error:
            problems.append(str(error))
            continue
        for mark, detection in run_detections.items():
            if detection.n_examples:
                detections.setdefault(mark, []).append(detection)
    return detections


def _detection_row(trial: Trial, mark: str, detections: Sequence[Detection]) -> list[str]:
    return [
        trial.dataset,
        trial.config,
        trial.method,
        MARK_NAMES[mark],
        _mean_percent([detection.precision for detection in detections]),
        _mean_percent([detection.recall for detection in detections]),
        _mean_percent([detection.loss_precision for detection in detections]),
        str(len(detections)),
    ]


def _truths_by_build(truths: Mapping[BuildConfig, Truth]) -> dict[Path, list[Truth]]:
    """Return the configs of each build, builds sorted by path."""
    by_build: dict[Path, list[Truth]] = {build: [] for build in sorted({key[0] for key in truths})}
    for (build, _), truth in truths.items():
        by_build[build].append(truth)
    return by_build


def _matrix_images(build: Path, truths: Sequence[Truth]) -> list[TitledImage]:
    """Draw the matrices of a build's configs, equal ones once."""
    truths_by_matrix: dict[bytes, list[Truth]] = {}
    for truth in truths:
        truths_by_matrix.setdefault(truth.matrix.tobytes(), []).append(truth)
    images = []
    for equal_truths in truths_by_matrix.values():
        first = equal_truths[0]
        configs = ", ".join(truth.config for truth in equal_truths)
        image = heatmap.draw_matrices([("", first.matrix)], first.classes)
        images.append((f"{build.name}: {configs}", image))
    return images


def _galleries(build: Path, truths: Sequence[Truth]) -> list[TitledImage]:
    """Draw noisy images of the noisiest config of each noise, a gallery for each origin."""
    noisiest: dict[str, Truth] = {}
    for truth in truths:
        if not truth.noisy.any():
            continue
        previous = noisiest.get(truth.noise)
        if previous is None or truth.noisy.mean() > previous.noisy.mean():
            noisiest[truth.noise] = truth
    galleries = []
    for truth in noisiest.values():
        for origin in truth.foreign:
            title = f"{build.name}, {truth.config}, noisy images from {origin}"
            galleries.append((title, truth.gallery(origin)))
    return galleries


def _mean_percent(shares: Sequence[float]) -> str:
    """Return the mean of the shares that are defined, in percent, and half its interval."""
    percents = [100 * share for share in shares if not math.isnan(share)]
    if not percents:
        return EMPTY
    result = mean_interval(percents)
    if result.n == 1:
        return f"{result.mean:.1f}"
    return f"{result.mean:.1f} ± {result.half_width:.1f}"
