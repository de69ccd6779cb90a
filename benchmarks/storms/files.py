"""Files of every format that a user or the web brings, changed at random, and read by a command."""

import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.storms import inputs
from benchmarks.storms.calls import check_outcome
from benchmarks.storms.child import run_cnlw, run_in_child
from benchmarks.storms.commands import BLUE, FETCH, RED, TINY, TRAIN, BaselineError, World
from tests.files.mutations import CONTENTS, MUTATIONS

MAX_SECONDS = 30
MAX_BYTES = 1 << 30  # beyond what a command that reads sound files takes


@dataclass(frozen=True, slots=True)
class Reading:
    """A file that is changed, and a command that reads it."""

    kind: str
    path: str  # below the folder of a trial; one of them where it is a pattern
    line: str
    must_notice: bool = False  # whether any change has to end the command with an error


BUILD = f"build {BLUE} --level 40 --out new"
RAW = f"build {TINY} --noise symmetric --level 20 --out raw --workers 1"
VALIDATE = "validate build --workers 1"
VOTES = "--dataset tiny --root root"
RELEASE = "--root new_root"
PLAN = f"plan {TINY} --out plan.parquet --workers 1 --noise"
SIDE = f"{PLAN} instance --level 20 --side-table formats/side"
RESUME = f"{TRAIN} --out old_runs/blue_40/vanilla_s0 --resume"
REPORT = "report old_runs --root root --out report"
RECIPE = "plan formats/recipe.toml --root root --data-dir img --out plan.parquet --workers 1"


def import_into(source: str, place: str) -> str:
    """Return the command that imports files of a known layout."""
    return f"import {source} {place} --as other --root root --workers 1"


READINGS = (
    Reading("image", "img/train/*/*.jpg", RAW, must_notice=True),
    Reading("image of a format", "formats/images/*/*", import_into("folder", "formats/images")),
    Reading("csv of images", "formats/images.csv", import_into("folder", "formats/images.csv")),
    Reading("Parquet of hf", "hf/*.parquet", import_into("hf", "hf")),
    Reading("Arrow of hf", "formats/arrow/*", import_into("hf", "formats/arrow")),
    Reading("pickle", "formats/cifar/*/*", import_into("cifar10", "formats/cifar")),
    Reading("gz", "formats/mnist/*.gz", import_into("mnist", "formats/mnist")),
    Reading("mat", "formats/svhn/*.mat", import_into("svhn", "formats/svhn")),
    Reading(
        "mat of records",
        "formats/cars/devkit/*.mat",
        import_into("stanford_cars", "formats/cars"),
    ),
    Reading("tar", "formats/imagenet/*.tar", import_into("imagenet", "formats/imagenet")),
    Reading("tar.gz", "formats/imagenet/*.tar.gz", import_into("imagenet", "formats/imagenet")),
    Reading(
        "zip of the release",
        "formats/release.zip",
        f"import cnlw_release formats/release.zip {RELEASE}",
    ),
    Reading(
        "json of the release",
        "formats/release/*.json",
        f"import cnlw_release formats/release {RELEASE}",
    ),
    Reading("votes.csv", "votes.csv", f"votes import votes.csv {VOTES}"),
    Reading(
        "votes.parquet", "formats/votes.parquet", f"votes import formats/votes.parquet {VOTES}"
    ),
    Reading("Label Studio", "formats/answers.json", f"votes import formats/answers.json {VOTES}"),
    Reading(
        "stored votes",
        "root/annotations/tiny/votes.parquet",
        f"votes report {VOTES} --data-dir img",
    ),
    Reading("base.parquet", "root/manifests/tiny/base.parquet", BUILD),
    Reading("web.parquet", "root/manifests/tiny/web.parquet", f"{RED} --out red"),
    Reading("classes.csv", "root/manifests/tiny/classes.csv", BUILD),
    Reading("recipe", "formats/recipe.toml", RECIPE),
    Reading("study", "study.toml", "sweep study.toml --dry-run --root root --data-dir img"),
    Reading("preset", "preset.toml", f"{TRAIN} --out run --quick"),
    Reading("side.npz", "formats/side.npz", f"{SIDE}.npz"),
    Reading("side.npy", "formats/side.npy", f"{SIDE}.npy -o features=side"),
    Reading("side.json", "formats/side.json", f"{SIDE}.json -o features=side"),
    Reading("side.parquet", "formats/side.parquet", f"{SIDE}.parquet"),
    Reading(
        "human.pt",
        "formats/human.pt",
        f"{PLAN} human -o labels=worse_label --side-table formats/human.pt",
    ),
    Reading(
        "human.npy",
        "formats/human.npy",
        f"{PLAN} human -o labels=worse_label --side-table formats/human.npy",
    ),
    Reading("plan", "formats/plan.parquet", "show formats/plan.parquet"),
    Reading("shard", "build/data/*.parquet", VALIDATE, must_notice=True),
    Reading("table of a build", "build/tables/*", VALIDATE, must_notice=True),
    Reading("card", "build/README.md", VALIDATE),
    Reading("card, shown", "build/README.md", "show build"),
    Reading("ledger", "store/ledger.sqlite", f"{RED} --out red"),
    Reading("ledger.parquet", "store/ledger.parquet", f"{FETCH} 1 --store store --report"),
    Reading("image of the store", "store/images/*/*", f"{RED} --out red"),
    Reading(
        "manifest to fetch",
        "root/manifests/tiny/web.parquet",
        "fetch --manifest root/manifests/tiny/web.parquet --store store --report",
    ),
    Reading("checkpoint", "old_runs/*/*/checkpoint.pt", RESUME, must_notice=True),
    Reading("config.json", "old_runs/*/*/config.json", REPORT),
    Reading("result.json", "old_runs/*/*/result.json", REPORT),
    Reading("metrics.jsonl", "old_runs/*/*/metrics.jsonl", REPORT),
    Reading("examples.parquet", "old_runs/*/*/*.parquet/*", REPORT),
)


class Storm:
    """Trials that change a file."""

    def __init__(self, world: World) -> None:
        self.world = world
        made = run_in_child(lambda: inputs.make_formats(world.template), world.template)
        if made.exit_code:
            raise BaselineError(f"the files of other formats cannot be made: {made.output}")
        shutil.rmtree(world.template.with_name("template.tmp"), ignore_errors=True)
        self.peak_bytes: dict[str, int] = {}

    def run(self, draw: random.Random) -> tuple[str, list[str]]:
        """Change one file, and run a command that reads it."""
        reading = draw.choice(READINGS)
        peak = self._undisturbed_peak(reading)
        folder = self.world.copy("trial")
        path = draw.choice(sorted(p for p in folder.glob(reading.path) if p.is_file()))
        original = path.read_bytes()
        name, content = mutate(original, draw)
        path.write_bytes(content)
        is_changed = content != original
        outcome = run_in_child(run_cnlw(reading.line), folder, seconds=MAX_SECONDS)
        problems = check_outcome(outcome)
        if outcome.peak_bytes > peak + MAX_BYTES:
            problems.append(f"took {outcome.peak_bytes >> 20} MiB of memory")
        is_believed = is_changed and outcome.exit_code == 0
        if reading.must_notice and is_believed and not self._has_equal_rows(path, original):
            problems.append("was not noticed")
        self.world.remove(folder)
        place = path.relative_to(folder)
        return reading.kind, [f"{name} of {place}: {problem}" for problem in problems]

    def _has_equal_rows(self, path: Path, original: bytes) -> bool:
        """Return whether a changed Parquet file holds the rows that it held.

        Bits of its footer may say something else of how the rows are stored; digests are of rows.
        """
        if path.suffix != ".parquet" or "tables" not in path.parts:
            return False
        sound = path.with_name("sound.parquet")
        sound.write_bytes(original)

        def compare() -> int:
            return int(not pq.read_table(path).equals(pq.read_table(sound)))

        return run_in_child(compare, path.parent).exit_code == 0

    def _undisturbed_peak(self, reading: Reading) -> int:
        """Run a command on sound files, once, and return the memory that it takes."""
        if reading.kind not in self.peak_bytes:
            folder = self.world.copy("trial")
            outcome = run_in_child(run_cnlw(reading.line), folder)
            if outcome.exit_code:
                raise BaselineError(f"{reading.kind}: {outcome.last_lines}")
            self.world.remove(folder)
            self.peak_bytes[reading.kind] = outcome.peak_bytes
        return self.peak_bytes[reading.kind]


def mutate(content: bytes, draw: random.Random) -> tuple[str, bytes]:
    """Return the name of a change, and the content of a file after it."""
    if draw.random() < 0.1:
        return "another content", draw.choice(CONTENTS)
    mutation = draw.choice(MUTATIONS)
    return mutation.__name__, mutation(content, draw)
