"""All ten blue levels of CIFAR-10 beside one level written by `datasets`: python benchmarks/cifar10.py DIR [ROUNDS]

DIR holds cifar-10-batches-py. The yardstick: the same 60,000 images as PIL images, through
`datasets.Dataset.from_dict(...).to_parquet(...)`; making the PIL images is not counted. Floor: PNG encoding of the
60,000 images, once.
"""

import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path

from cnlw_tools import files
from cnlw_tools.builds.build import build
from cnlw_tools.executor import EXECUTORS
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import BENCHMARK_LEVELS, parse_recipe
from cnlw_tools.sources.cifar10 import Cifar10


def ours(data_dir: Path) -> float:
    """Seconds of the whole build, from the pickles to the card."""
    with tempfile.TemporaryDirectory() as out:
        recipe = parse_recipe(
            {"dataset": "cifar10", "noise": "blue", "levels": list(BENCHMARK_LEVELS)},
            "the benchmark",
        )
        inputs = Inputs(files.default_root(), data_dir)
        with EXECUTORS["local"](None) as executor:
            return build(recipe, inputs, Path(out) / "build", executor).seconds


def theirs(data_dir: Path) -> tuple[float, float]:
    """Seconds that `datasets` takes for one level, and seconds of PNG encoding alone."""
    import datasets

    datasets.disable_progress_bars()
    source = Cifar10(data_dir)
    rows = source.manifest()
    images = [source.read(i) for i in rows["image_id"].to_pylist()]
    names = [str(i) for i in range(10)]
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=names)}
    )
    with tempfile.TemporaryDirectory() as out:
        begun = time.perf_counter()
        made = datasets.Dataset.from_dict(
            {"image": images, "label": rows["label"].to_pylist()}, features
        )
        made.to_parquet(f"{out}/one.parquet")
        whole = time.perf_counter() - begun
    begun = time.perf_counter()
    for image in images:
        image.save(BytesIO(), "PNG")  # type: ignore[union-attr]
    return whole, time.perf_counter() - begun


def main() -> None:
    """Time both in turn; print seconds and ratios."""
    data_dir, rounds = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3
    print(
        "| round | ours, ten levels s | datasets, one level s | ratio | PNG alone, one core s |\n|---|---|---|---|---|"
    )
    for number in range(rounds):
        a, (b, png) = ours(data_dir), theirs(data_dir)
        print(f"| {number + 1} | {a:.1f} | {b:.1f} | {a / b:.2f} | {png:.1f} |", flush=True)


if __name__ == "__main__":
    main()
