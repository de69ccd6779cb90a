"""The commands that are disturbed, and the folder that each of them works in.

One template folder holds what the commands read: images, a dataset of Hugging Face, tables, votes,
a store, builds and runs. A trial works in a copy of it.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from benchmarks.storms import server
from benchmarks.storms.child import Outcome, run_cnlw, run_in_child

CLASSES = ("cat", "dog", "owl")
PRESET = 'net = "mlp1"\nepochs = 3\nbatch_size = 20\nlr = 0.05\nsize = 8\n'
STUDY = """dataset = "tiny"

[[configs]]
noise = "blue"
levels = [40]
size = 16

[[methods]]
name = "vanilla"

[[methods]]
name = "gce"
"""
# Keys of JSON files whose values differ from run to run: they hold one of these words.
VOLATILE = ("command", "second", "time", "date", "peak", "_at", "started", "at", "images_per")


class BaselineError(Exception):
    """A command failed though nothing disturbed it."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command that a trial disturbs and then runs again."""

    name: str
    line: str  # without the word cnlw
    resume_line: str = ""  # continues a disturbed run, if that is another line
    new_folder: str = ""  # what it writes once: it refuses to do so where that exists


TINY = "--dataset tiny --root root --data-dir img"
BLUE = f"{TINY} --noise blue --size 16 --workers 1"
RED = f"build {TINY} --noise red --size 16 --level 20 --store store --workers 1"
TRAIN = (
    "train --data build --config blue_40 --root root --preset preset.toml --method vanilla "
    "--device cpu --decode-threads 1"
)
FETCH = (
    "fetch --dataset tiny --root root --allow-private --no-robots --requests 8 --per-host 8 "
    "--patience 2 --workers"
)
PREDICT = (
    "predict-labels --data probe --config blue_00_probe2 --batch-size 6 --out predicted.parquet "
    "--preset preset.toml --device cpu --root root"
)
SWEEP = (
    "sweep study.toml --out runs --builds builds --root root --data-dir img --device cpu "
    "--workers 1"
)

COMMANDS = (
    Command("import folder", "import folder img --as tiny2 --root root --workers 1"),
    Command("import folder by two", "import folder img --as tiny2 --root root --workers 2"),
    Command("import hf", "import hf hf --as table --root root --workers 1"),
    Command("votes import", "votes import votes.csv --dataset tiny --root root"),
    Command("votes export", "votes export --dataset tiny --votes 9 --out tasks.json --root root"),
    Command("plan", f"plan {TINY} --noise red --level 20 --out plan.parquet --workers 1"),
    Command("features", f"features {TINY} --out features.parquet --workers 1"),
    Command("build new", f"build {BLUE} --level 40 --out new"),
    Command("build by two", f"build {BLUE} --level 40 --out new --workers 2"),
    Command("build another level", f"build {BLUE} --level 80 --out build"),
    Command("build another noise", f"{RED} --out build"),
    Command("build as it came", f"build {TINY} --noise symmetric --level 20 --out raw --workers 1"),
    Command("export imagefolder", "export imagefolder build blue_40 --out new", new_folder="new"),
    Command("export labels", "export labels build blue_40 --out new", new_folder="new"),
    Command("fetch", f"{FETCH} 1 --store new_store"),
    Command("fetch by two", f"{FETCH} 2 --store new_store"),
    Command("validate", "validate build --workers 1"),
    Command("train", f"{TRAIN} --out run", resume_line=f"{TRAIN} --out run --resume"),
    Command("predict-labels", PREDICT),
    Command("sweep", SWEEP),
    Command("report", "report old_runs --root root --out report"),
)


class World:
    """The template folder, and what undisturbed commands make of it."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.template = scratch / "template"
        self.port, self.server = server.start_server()
        self.references: dict[str, Reference] = {}

    def prepare(self) -> None:
        """Make the template.

        Raises:
            BaselineError: a command failed
        """
        self.template.mkdir(parents=True)
        self._check(run_in_child(lambda: make_inputs(self.template, self.port), self.template))
        steps = [
            "import folder img --as tiny --root root --workers 1",
            f"{FETCH} 1 --store store",
            f"build {BLUE} --level 40 --out build",
            f"build {BLUE} --level 0 --probe 2 --out probe",
            f"{TRAIN} --out old_runs/blue_40/vanilla_s0",
        ]
        self._check(run_in_child(run_cnlw(steps[0]), self.template))
        self._check(run_in_child(lambda: make_candidates(self.template, self.port), self.template))
        for step in steps[1:]:
            self._check(run_in_child(run_cnlw(step), self.template))
        shutil.rmtree(self.template.with_name("template.tmp"), ignore_errors=True)

    def _check(self, outcome: Outcome) -> None:
        if outcome.exit_code:
            raise BaselineError(f"{self.template}: an undisturbed step failed: {outcome.output}")

    def copy(self, name: str) -> Path:
        """Copy the template for a trial."""
        folder = self.scratch / name
        self.remove(folder)
        shutil.copytree(self.template, folder, symlinks=True)
        return folder

    def remove(self, folder: Path) -> None:
        """Delete the folder of a trial and what lies beside it."""
        for path in (folder, folder.with_name(folder.name + ".tmp")):
            shutil.rmtree(path, ignore_errors=True)
        folder.with_name(folder.name + ".log").unlink(missing_ok=True)

    def reference(self, command: Command) -> "Reference":
        """Run a command undisturbed, once, and remember what came."""
        if command.name not in self.references:
            folder = self.copy("trial")
            outcome = run_in_child(run_cnlw(command.line), folder)
            if outcome.exit_code:
                raise BaselineError(f"{command.name}: {outcome.last_lines}")
            self.references[command.name] = Reference(outcome, contents_of(folder))
            self.remove(folder)
        return self.references[command.name]


@dataclass(frozen=True, slots=True)
class Reference:
    """An undisturbed run of a command."""

    outcome: Outcome
    contents: Mapping[str, str]


def make_inputs(folder: Path, port: int) -> int:
    """Write images, a dataset of Hugging Face, votes, a study, and a root of packaged tables."""
    from datasets import ClassLabel, Dataset, Features
    from datasets import Image as ImageFeature

    from cnlw_tools.files import default_root

    images, labels = [], []
    for label, name in enumerate(CLASSES):
        for split, n_images in (("train", 20), ("val", 4)):
            for i in range(n_images):
                path = folder / "img" / split / name / f"{i}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                content = server.draw_picture(10_000 * (label + 1) + 100 * len(split) + i)
                path.write_bytes(content)
                if split == "train":
                    images.append({"bytes": content, "path": None})
                    labels.append(label)
    features = Features({"image": ImageFeature(), "label": ClassLabel(names=list(CLASSES))})
    table = Dataset.from_dict({"image": images, "label": labels}, features=features)
    (folder / "hf").mkdir()
    for shard in range(2):
        part = table.shard(2, shard, contiguous=True)
        part.to_parquet(folder / "hf" / f"train-{shard:05d}-of-00002.parquet")
    shutil.copytree(default_root() / "pipelines", folder / "root" / "pipelines")
    (folder / "preset.toml").write_text(PRESET)
    (folder / "root" / "pipelines" / "train" / "tiny.toml").write_text(PRESET)
    (folder / "study.toml").write_text(STUDY)
    return 0


def make_candidates(folder: Path, port: int) -> int:
    """Write web candidates of the dataset `tiny`, and votes on them."""
    import pyarrow as pa

    from cnlw_tools.dataset import tables

    rows, votes = [], ["image_id,label,annotator,correct"]
    for label in range(len(CLASSES)):
        for i in range(20):
            number = 100 * (label + 1) + i
            uri = f"http://127.0.0.1:{port}/{number}.jpg"
            rows.append({"image_id": f"w{number}", "label": label, "split": "web", "uri": uri})
            for annotator in (1, 2, 3):
                votes.append(f"w{number},{label},{annotator},{'true' if i > 17 else 'false'}")
    manifests = folder / "root" / "manifests" / "tiny"
    tables.write_parquet(pa.Table.from_pylist(rows, tables.MANIFEST), manifests / "web.parquet")
    first_votes = [line for line in votes[1:] if ",1," in line]
    (folder / "votes.csv").write_text("\n".join(votes) + "\n")
    values = []
    for line in first_votes:
        image_id, label, annotator, correct = line.split(",")
        row = {"image_id": image_id, "label": int(label), "annotator": annotator}
        values.append({**row, "correct": correct == "true", "at": None})
    path = folder / "root" / "annotations" / "tiny" / "votes.parquet"
    tables.write_parquet(pa.Table.from_pylist(values, tables.VOTES), path)
    return 0


def contents_of(folder: Path) -> dict[str, str]:
    """Return the digest of every file below a folder, without what tells times.

    Ledgers and checkpoints hold times; of them it counts that they are there and, of a ledger, what
    became of each image.
    """
    contents = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if "/tensorboard" in name:
            continue
        if path.is_file():
            contents[name] = _digest_of(path)
        elif path.is_dir() and not any(path.iterdir()):
            contents[name] = "an empty folder"
    return contents


def _digest_of(path: Path) -> str:
    content = path.read_bytes()
    if path.suffix == ".json":
        content = json.dumps(_without_volatile(json.loads(content))).encode()
    elif path.suffix == ".jsonl":
        lines = [json.dumps(_without_volatile(json.loads(line))) for line in content.splitlines()]
        content = "\n".join(lines).encode()
    elif path.name == "ledger.sqlite":
        content = _ledger_outcomes(path)
    elif path.name == "ledger.parquet" or path.suffix == ".pt" or path.name.startswith("ledger."):
        return "there"
    return sha256(content).hexdigest()


def _without_volatile(value: object) -> object:
    if isinstance(value, dict):
        kept = {}
        for key, item in value.items():
            if not any(word in str(key) for word in VOLATILE):
                kept[key] = _without_volatile(item)
        return kept
    if isinstance(value, list):
        return [_without_volatile(item) for item in value]
    return value


def _ledger_outcomes(path: Path) -> bytes:
    import sqlite3

    connection = sqlite3.connect(path)
    try:
        rows = connection.execute("SELECT image_id, class, sha256 FROM ledger ORDER BY 1")
        return repr(rows.fetchall()).encode()
    finally:
        connection.close()
