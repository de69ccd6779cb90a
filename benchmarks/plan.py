"""How long a plan takes, and how much memory: python benchmarks/plan.py [ROWS ...]

Floor: a plan reads n ids of b bytes, sorts n 64-bit keys, and writes two id columns; `instance` takes n C exponentials
besides. Each figure is a process of its own, on one core, in seconds of the processor; the pool, or the donor, is as
large as the base. ROWS are those of train in the plan: a model that adds examples has a smaller base. The ratio is to
hashing the same ids one by one with a keyed hash of the standard library, which is only a part of what a plan does.
"""

import os
import resource
import subprocess
import sys
import time
from hashlib import blake2b

import numpy as np
import pyarrow as pa

from cnlw_tools import prng
from cnlw_tools.dataset import hashing, tables
from cnlw_tools.dataset.dataset import NEAREST_CLASS, Dataset
from cnlw_tools.noise import NOISE
from cnlw_tools.plans.plan import plan
from cnlw_tools.recipe.recipe import parse_recipe

CLASSES = 1000
FEWER = {
    "instance": 100
}  # its time is that of rows times classes: each image has a distribution of its own
ASKED = {  # where the options for tests are too small
    "dilution": {"alpha": 20.0},
    "structured": {"alpha": 20.0, "delta": 0.01, "order": "random"},
    "source": {"alpha": 20.0},
    "outlier": {"ratio": 1.0},
}
TAIL = "longtail"  # blue noise on a long tail of so many images
BLOCK = 1_000_000


class AllWrong(Dataset):
    """A dataset whose candidates were all judged wrong: votes are not what is measured here."""

    __slots__ = ()

    def pool(
        self, min_votes: int, verdict: str = "majority", search: tuple[str, ...] = ()
    ) -> pa.Table:
        """Return the whole web manifest."""
        return self.web


def manifest(prefix: str, n: int, split: str, classes: int) -> pa.Table:
    """Return n rows with ids of 9 characters."""
    blocks = [(lo, min(lo + BLOCK, n)) for lo in range(0, n, BLOCK)]
    ids = pa.chunked_array(
        [pa.array([f"{prefix}{i:08d}" for i in range(*block)]) for block in blocks]
    )
    label = pa.array((np.arange(n) % classes).astype(np.int32))
    splits = pa.DictionaryArray.from_arrays(np.zeros(n, np.int8), [split]).cast(pa.string())
    return pa.table(
        [ids, label, splits, pa.nulls(n, pa.string()), pa.nulls(n, pa.string())],
        schema=tables.MANIFEST,
    )


def beside(base: pa.Table, classes: int) -> pa.Table:
    """Return a label and four features for each row."""
    n = len(base)
    features = prng.uniform(np.arange(4 * n, dtype=np.uint64), 0).astype(np.float32)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(features), 4)
    labels = pa.array((np.arange(n) // 2 % classes).astype(np.int32))
    return pa.table({"image_id": base["image_id"], "labels": labels, "features": lists})


def peak() -> int:
    """Bytes that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(n: int, noise: str) -> None:
    """Plan one level and digest it; print seconds, bytes a row, and the ratio."""
    name, tail = ("blue", 100.0) if noise == TAIL else (noise, 1.0)
    model, classes = NOISE[name], FEWER.get(noise, CLASSES)
    chosen = {
        key: value(classes) if callable(value) else value
        for key, value in model.test_options.items()
    }
    chosen = ASKED.get(noise, chosen)
    own = round(n / (1 + chosen.get("alpha", chosen.get("ratio", 0))))
    base, web = manifest("b", own, "train", classes), manifest("w", own, "web", classes)
    side = beside(base, classes) if model.column_options else None
    given = (
        {"d": manifest("d", own, "train", classes).append_column(NEAREST_CLASS, base["label"])}
        if model.needs_donors
        else {}
    )
    none = tables.VOTES.empty_table()
    found = AllWrong("made", tuple(map(str, range(classes))), base, web, none, side, donors=given)
    asked = {
        "dataset": "made",
        "noise": name,
        "options": chosen,
        "donors": list(given),
        "imbalance_ratio": tail,
    }
    recipe = parse_recipe(asked, "the benchmark")
    before, begun = peak(), time.process_time()
    made = plan(recipe, found, 40 if model.has_level else None)
    digest = hashing.digest(made)
    seconds, memory = time.process_time() - begun, (peak() - before) / n
    ids = base["image_id"][:BLOCK].to_pylist()
    begun = time.process_time()
    for i in ids:
        blake2b(i.encode(), key=b"seed", digest_size=8).digest()
    loop = (time.process_time() - begun) * n / len(ids)
    print(
        f"| {noise:11} | {n:>10,} | {seconds:7.2f} | {memory:7.0f} | {seconds / loop:6.2f} | {digest[:12]} |"
    )


if __name__ == "__main__":
    if os.environ.get("MEASURE"):
        measure(int(sys.argv[1]), os.environ["MEASURE"])
    else:
        head = (
            "| noise | rows | seconds | bytes a row above the manifest | x a hash loop | digest |\n"
        )
        print(head + "|---" * 6 + "|", flush=True)
        for rows in sys.argv[1:] or ["1000000", "10000000"]:
            for noise in (*NOISE, TAIL):
                one_core = ["taskset", "-c", "0"] if sys.platform == "linux" else []
                subprocess.run(
                    [*one_core, sys.executable, __file__, rows],
                    env={**os.environ, "MEASURE": noise},
                    check=True,
                )
