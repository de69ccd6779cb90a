"""``--workers`` means worker processes in every command, and one worker is this process."""

from concurrent.futures import Future
from hashlib import sha256
from io import BytesIO

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from cnlw_tools import checks
from cnlw_tools.cli import main
from cnlw_tools.dataset import tables
from cnlw_tools.executor import local
from cnlw_tools.images.pixels import fingerprint
from cnlw_tools.store.store import Row, open_ledger

STUDY = """# A build alone
dataset = "shapes"
methods = []
[[configs]]
noise = "blue"
levels = [40]
"""


class FakePool:
    """Stands for a pool of processes: writes down how many are asked for, and runs tasks here."""

    sizes: list[int] = []  # noqa: RUF012, of all pools

    def __init__(self, workers, *_) -> None:
        self.sizes.append(workers)

    def submit(self, task, item):
        """Run a task at once."""
        future = Future()
        future.set_result(task(item))
        return future

    def shutdown(self, cancel_futures):
        """End nothing."""


@pytest.fixture
def pools(monkeypatch):
    """The sizes of all pools that a command opens, but for the check that needs a fresh interpreter."""
    monkeypatch.setattr(local, "ProcessPoolExecutor", FakePool)
    monkeypatch.setattr(FakePool, "sizes", [])
    without = [check for check in checks.CHECKS if check.name != "roundtrip"]
    monkeypatch.setattr(checks, "CHECKS", tuple(without))
    return FakePool.sizes


@pytest.fixture(scope="module")
def lab(tmp_path_factory, tiny):
    """A folder with a small dataset, a store of its web images, and a study."""
    folder = tmp_path_factory.mktemp("lab")
    root = tiny(folder / "root")
    (folder / "toy.toml").write_text(STUDY)
    web = tables.read_manifest(root / "manifests/shapes/web.parquet", 10, web=True)
    draw = np.random.default_rng(0)
    with open_ledger(folder / "store") as ledger:
        for image_id in web["image_id"].to_pylist():
            image = Image.fromarray(draw.integers(0, 256, (8, 8, 3), np.uint8))
            out = BytesIO()
            image.save(out, "PNG")
            data = out.getvalue()
            mtime = ledger.write_image(image_id, "png", data)
            facts = [200, None, sha256(data).hexdigest(), len(data), "png", 8, 8]
            ledger.write_row(
                Row(image_id, "x", "ok", None, 1, 0.0, "x", *facts, fingerprint(image), mtime)
            )
    for name in ("rose", "tulip"):
        (folder / "images" / name).mkdir(parents=True)
        for i in range(101):  # of both classes, more than a single task takes
            (folder / "images" / name / f"{i}.png").write_bytes(data)
    return folder


COMMANDS = {
    "import": "import folder images --root root --as flowers",
    "build": "build --noise red --level 20 --root root --store store --out build -o top=20",
    "plan": "plan --noise red --level 20 --root root --store store -o top=20",
    "validate": "validate build --store store",
    "features": "features --root root --size 2 --out features.parquet",
    "sweep": "sweep toy.toml --root root --builds builds --out runs",
}


@pytest.mark.parametrize("workers", [1, 3])
def test_workers(workers, lab, pools, tmp_path, monkeypatch):
    """Every process of every command is counted; what one worker does, it does here."""
    monkeypatch.chdir(tmp_path)
    for name in ("root", "store", "images", "toy.toml"):
        (tmp_path / name).symlink_to(lab / name)
    opened = {}
    for name, words in COMMANDS.items():
        done = CliRunner().invoke(main, [*words.split(), "--workers", str(workers)])
        assert done.exit_code == 0, done.output
        opened[name], pools[:] = set(pools), []

    assert opened == {name: set() if workers == 1 else {3} for name in COMMANDS}


def test_every_command_says_the_same():
    """The help of `--workers` is one sentence, and threads that decode have a word of their own."""
    described = {
        name: [option.help for option in command.params if "--workers" in option.opts]
        for name, command in main.commands.items()
    }
    threads = {
        name
        for name, command in main.commands.items()
        if any("--decode-threads" in option.opts for option in command.params)
    }

    sentences = {text.partition("  [")[0] for texts in described.values() for text in texts}

    assert sentences == {"Number of worker processes."}
    others = {"fetch", "new", "push", "rebuild"}
    assert {name for name, texts in described.items() if texts} == {*COMMANDS, *others}
    assert threads == {"train", "predict", "predict-labels", "train-mentor"}


@pytest.mark.usefixtures("reads_back_here")
@pytest.mark.parametrize("colours", [("blue", "red"), ("red", "blue")])
def test_only_red_noise_needs_the_store(colours, lab, tmp_path, monkeypatch):
    """Blue without --store and red with it come into one build, in any order, and it is valid."""
    monkeypatch.chdir(lab)
    options = {"blue": [], "red": ["--store", "store", "-o", "top=20"]}
    out = str(tmp_path / "build")
    common = ["--level", "20", "--root", "root", "--workers", "1", "--out", out]

    for colour in colours:
        done = CliRunner().invoke(main, ["build", "--noise", colour, *common, *options[colour]])
        assert done.exit_code == 0, done.output

    done = CliRunner().invoke(main, ["validate", out, "--store", "store", "--workers", "1"])
    assert done.exit_code == 0, done.output
