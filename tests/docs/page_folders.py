"""What lies in the folder of a reader before a page begins, under the names of the page."""

import gzip
import json
import os
import re
import shutil
import signal
import threading
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from cnlw_tools import files
from cnlw_tools.browser.serve import PageServer
from tests.conftest import make_cifar
from tests.docs.page_blocks import Step, run_step
from tests.sources.conftest import cifar100, draw_jpeg, mnist, put
from tests.sources.released import WEB_IMAGES, annotation, mini_imagenet

FLOWERS = ("rose", "tulip", "iris")
N_PHOTOS = 20  # of each flower
LABELS = (0, 1, 2)
CRAWL_PHOTOS, CRAWL_CANDIDATES = 50, 100  # of each flower, in the guide to one's own crawl
N_CANDIDATES = 16  # of each class: what red noise of 80 % takes, of 16 photos or 6 images


def lay_out_photos(folder: Path, n_photos: int = N_PHOTOS) -> None:
    """Write class folders of photographs."""
    for label, name in enumerate(FLOWERS):
        for i in range(1, n_photos + 1):
            put(folder / "photos" / name / f"{i}.jpg", draw_jpeg(100 * label + i))


def lay_out_root(folder: Path, tiny: Callable[[Path], Path]) -> Path:
    """Write a small root that stands for the package's, and return it."""
    tiny(folder)
    _add_missing(folder)
    return folder


def lay_out_whole_root(folder: Path) -> Path:
    """Write a root with all images of `shapes` and short schedules, and return it."""
    shutil.copytree(files.default_root() / "pipelines", folder / "pipelines")
    _add_missing(folder)
    return folder


def _add_missing(root: Path) -> None:
    """Copy the tables of the package that a root lacks, and shorten the training."""
    ours = files.default_root()
    for kind in ("manifests", "annotations"):
        for path in (ours / kind).glob("*/*.*"):
            copy = root / path.relative_to(ours)
            if not copy.exists():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, copy)
    shorten_training(root)


def lay_out_release(folder: Path, site: str) -> None:
    """Write the archives, the lists, the zip and the web images of the release of 2020 to DIR.

    Its splits of 20 % stand for those of 40 %, and the candidates lie on a web site.
    """
    data_dir = folder / "DIR"
    data_dir.mkdir()
    mini_imagenet(data_dir)
    release = data_dir / "dataset_no_images"
    splits = release / "mini-imagenet" / "split"
    (splits / "red_noise_nl_0.2").rename(splits / "red_noise_nl_0.4")
    (release / "mini-imagenet-annotations.json").write_text(json.dumps(_annotations(site)))
    shutil.make_archive(str(release), "zip", data_dir, release.name)
    shutil.rmtree(release)


def _annotations(site: str) -> dict[str, object]:
    """Return verdicts on the web images of the splits, and on further ones."""
    rows = []
    for image in WEB_IMAGES:
        label = {"w0a": 0, "w1a": 1, "w1b": 1}.get(image, 2)
        rows.append([annotation(image, label, int(image == "right"))])
    for label in LABELS:
        rows += [[annotation(f"more{label}{i}", label)] for i in range(N_CANDIDATES)]
    for (row,) in rows:
        row["image/uri"] = f"{site}/{row['image/id']}.jpg"
    return {"name": "x", "version": "1.0", "data": rows}


def follow(folder: Path, *commands: str) -> None:
    """Run commands that a page takes for granted."""
    for command in commands:
        run_step(Step(folder.name, 0, command), {})


def prepare_foreign_images(folder: Path, site: str) -> None:
    """CIFAR-10 is in DIR, CIFAR-100 in DIR100."""
    make_cifar(folder / "DIR")
    (folder / "DIR100").mkdir()
    cifar100(folder / "DIR100", n_train=150)


def make_two_builds(folder: Path, site: str) -> None:
    """A and B are builds that differ."""
    follow(
        folder,
        "cnlw build --noise red --level 40 --out A",
        "cnlw build --noise red --level 40 --seed 1 --out B",
    )


def prepare_look_and_export(folder: Path, site: str) -> None:
    """There are two builds, and MNIST lies where torchvision unpacks it."""
    make_two_builds(folder, site)
    unpacked = folder / "data/MNIST/raw"
    for path in mnist(folder / "packed").iterdir():
        content = path.read_bytes()
        data = gzip.decompress(content) if path.suffix == ".gz" else content
        put(unpacked / path.name.removesuffix(".gz"), data)


def prepare_published_splits(folder: Path, site: str) -> None:
    """The release and the archives are in DIR, the builds of two labs in A and B."""
    lay_out_release(folder, site)
    make_two_builds(folder, site)


def prepare_studies(folder: Path, site: str) -> None:
    """A dataset of photographs was imported."""
    lay_out_photos(folder)
    follow(folder, "cnlw import folder photos --as flowers --root my --validation 20")


def prepare_training(folder: Path, site: str) -> None:
    """CIFAR-10 was built, and there are photographs to predict."""
    lay_out_photos(folder)
    make_cifar(folder / "DIR")
    follow(folder, "cnlw build --dataset cifar10 --data-dir DIR --noise blue --level 40")


def prepare_web_images(folder: Path, site: str) -> None:
    """The candidates of the release were imported, and there is a list of addresses."""
    lay_out_release(folder, site)
    follow(folder, "cnlw import cnlw_release DIR --root my")
    ids = ["f1", "f2", "gone"]
    uris = [f"{site}/more00.jpg", f"{site}/more01.jpg", f"{site}/gone.jpg"]
    pq.write_table(pa.table({"image_id": ids, "uri": uris}), folder / "FILE.parquet")


def prepare_cards(folder: Path, site: str) -> None:
    """Photographs lie in class folders."""
    lay_out_photos(folder)


def prepare_your_own_data(folder: Path, site: str) -> None:
    """Photographs lie in class folders, CIFAR-10 in DIR."""
    lay_out_photos(folder)
    make_cifar(folder / "DIR")


def prepare_your_own_crawl(folder: Path, site: str) -> None:
    """Photographs lie in class folders, and there is a list of candidates with a dead link."""
    lay_out_photos(folder, CRAWL_PHOTOS)
    lines = ["class,url"]
    for name in FLOWERS:
        lines += [f"{name},{site}/{name}{i}.jpg" for i in range(CRAWL_CANDIDATES)]
    lines[lines.index(f"rose,{site}/rose0.jpg")] = f"rose,{site}/gone.jpg"
    put(folder / "candidates.csv", "\n".join(lines))


def vote_on_the_page(folder: Path, site: str) -> None:
    """One person votes on the page that the next command serves, and stops it with Ctrl-C.

    Ten candidates of each class do not show it.
    """
    web = pq.read_table(folder / "my/manifests/flowers/web.parquet").to_pylist()
    shows = {row["image_id"]: not row["uri"].endswith("7.jpg") for row in web}
    run = PageServer.run

    def run_with_a_person(server: PageServer) -> None:
        PageServer.run = run  # type: ignore[method-assign]
        person = threading.Thread(target=_vote_on_all, args=(server.address, shows))
        person.start()
        server.run()
        person.join()

    PageServer.run = run_with_a_person  # type: ignore[method-assign]


def _vote_on_all(address: str, shows: Mapping[str, bool]) -> None:
    """Vote on all candidates that a page offers, and send Ctrl-C to this process."""
    request = {"name": "ann", "page": "test", "label": None, "n": 50}
    try:
        while candidates := _post(f"{address}next", request)["candidates"]:
            votes = []
            for candidate in candidates:
                verdict = "yes" if shows[candidate["image_id"]] else "no"
                votes.append({**candidate, "verdict": verdict, "seconds": 1.0})
            _post(f"{address}votes", {"name": "ann", "votes": votes})
    finally:
        os.kill(os.getpid(), signal.SIGINT)


def _post(address: str, request: Mapping[str, Any]) -> Any:
    """Return the answer to a request as JSON."""
    with urllib.request.urlopen(address, json.dumps(request).encode()) as answer:  # noqa: S310
        return json.load(answer)


def answer_tasks(folder: Path, site: str) -> None:
    """Three people answer the tasks: ten candidates of each class do not show it."""
    tasks = json.loads((folder / "flowers.json").read_text())
    for task in tasks:
        shows = "no" if task["data"]["image"].endswith("7.jpg") else "yes"
        result = [{"from_name": "shows", "type": "choices", "value": {"choices": [shows]}}]
        task["annotations"] = []
        for person in (1, 2, 3):
            answer = {
                "completed_by": person,
                "result": result,
                "updated_at": "2026-01-01T00:00:00Z",
            }
            task["annotations"].append(answer)
    (folder / "answers.json").write_text(json.dumps(tasks))


def write_votes(folder: Path, site: str) -> None:
    """A fourth person writes a vote to a table."""
    data = json.loads((folder / "answers.json").read_text())[1]["data"]
    row = f"{data['image_id']},{data['label']},ann,yes"
    put(folder / "votes.csv", f"image_id,label,annotator,correct\n{row}\n")


Prepare = Callable[[Path, str], None]  # the folder of the reader, the address of a web site
PREPARE: Mapping[str, Prepare] = {  # by the name of a page; the others need nothing
    "cards": prepare_cards,
    "foreign_images": prepare_foreign_images,
    "look_and_export": prepare_look_and_export,
    "published_splits": prepare_published_splits,
    "studies_and_reports": prepare_studies,
    "training": prepare_training,
    "web_images": prepare_web_images,
    "your_own_crawl": prepare_your_own_crawl,
    "your_own_data": prepare_your_own_data,
}
BETWEEN: Mapping[str, Prepare] = {  # command -> what people do before it, as the page says
    "cnlw votes annotate --dataset flowers --root my --store stores/flowers --data-dir photos": (
        vote_on_the_page
    ),
    "cnlw votes import answers.json --dataset flowers --root my": answer_tasks,
    "cnlw votes import votes.csv --dataset flowers --root my": write_votes,
}


def write_site(folder: Path) -> None:
    """Write the pictures of the web site, but for one that the release lists."""
    names = list(WEB_IMAGES)
    for label in LABELS:
        names += [f"more{label}{i}" for i in range(N_CANDIDATES)]
    for flower in FLOWERS:
        names += [f"{flower}{i}" for i in range(CRAWL_CANDIDATES)]
    for seed, name in enumerate(names):
        put(folder / f"{name}.jpg", draw_jpeg(5000 + seed))


def paint(image_id: str) -> Image.Image:
    """Return a small picture that no other id has."""
    pixels = np.random.default_rng(crc32(image_id.encode())).integers(0, 256, (8, 8, 3), np.uint8)
    return Image.fromarray(pixels)


SMALL = {  # keys of presets and studies, and the values that they get
    r'^net = "\w+"': 'net = "conv_small"',
    r"\bepochs = \d+": "epochs = 2",
    r"^quick = \d+": "quick = 1",
    r"\bsize = \d+": "size = 8",
    r"^batch_size = \d+": "batch_size = 100",
    r"^seeds = \[0, 1\]": "seeds = [0]",
    r"levels = \[0, 20, 40, 60, 80\]": "levels = [0, 40]",
}


def shorten(text: str) -> str:
    """Return the text of a preset or a study that takes seconds."""
    for pattern, value in SMALL.items():
        text = re.sub(pattern, value, text, flags=re.MULTILINE)
    return text


def shorten_training(root: Path) -> None:
    """Make the presets and the studies of a root take seconds."""
    for path in (root / "pipelines").glob("*/*.toml"):
        path.write_text(shorten(path.read_text(encoding="utf-8")), encoding="utf-8")
