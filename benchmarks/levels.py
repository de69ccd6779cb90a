"""What ten levels cost beside one: python benchmarks/levels.py [CIFAR10_DIR]

Floor: at the ten nested levels 0 ... 80 % of n rows, n + 0.8 n distinct rows are stored (1.8 n against n, and the
validation images once); red encodes n + 0.8 n images, blue n.
"""

import sys
import tempfile
from pathlib import Path

from cnlw_tools import files
from cnlw_tools.builds.build import build
from cnlw_tools.executor import EXECUTORS
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import BENCHMARK_LEVELS, parse_recipe


def main() -> None:
    """Build one level and ten of every kind; print sizes, seconds, ratios."""
    cifar = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    kinds: list[tuple[str, str, Path | None]] = [("shapes", "red", None), ("shapes", "blue", None)]
    kinds += [("cifar10", "blue", cifar)] if cifar else []
    print(
        "| dataset | noise | one level MB | ten levels MB | x | one level s | ten levels s | x |\n"
        + "|---" * 8
        + "|"
    )
    for dataset, noise, data_dir in kinds:
        done = []
        for levels in ([40], list(BENCHMARK_LEVELS)):
            with tempfile.TemporaryDirectory() as out:
                recipe = parse_recipe(
                    {"dataset": dataset, "noise": noise, "levels": levels}, "the benchmark"
                )
                inputs = Inputs(files.default_root(), data_dir)
                with EXECUTORS["local"](None) as executor:
                    done.append(build(recipe, inputs, Path(out) / "build", executor))
        (a, b), (s, t) = [d.total_bytes / 1e6 for d in done], [d.seconds for d in done]
        print(
            f"| {dataset} | {noise} | {a:.1f} | {b:.1f} | {b / a:.2f} | {s:.1f} | {t:.1f} | {t / s:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
