"""What several tests share: a toy dataset, a cut of the embedded one, and a CIFAR-10 folder of noise pictures."""

import functools
import math
import os
import pickle
import shutil
import struct
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import requests
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from cnlw_tools import files
from cnlw_tools.checks import roundtrip
from cnlw_tools.dataset import tables
from cnlw_tools.dataset.tables import MANIFEST, VOTES
from cnlw_tools.executor import SERIAL, Executor, local
from cnlw_tools.files import storage
from cnlw_tools.images import pixels
from cnlw_tools.sources.shapes import Shapes
from tests import gcs_server, hub_server
from tests.gcs_server import Bucket
from tests.hub_server import Hub

CIFAR = "cifar-10-batches-py"
BATCHES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")

# Several processes of tests share the cores, and what they train is not worth a second thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile(
    "core",
    deadline=None,
    max_examples=25,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.load_profile("core")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ODD = [None, True, -1, 1.5, math.nan, 10**400, "x", "\ud800", [], [1], {}, {"x": 1}]
ODD += [functools.reduce(lambda inner, _: [inner], range(100), 0)]


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every node of nested lists and mappings, the whole first."""
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from paths(value[key], (*path, key))


def with_node(value: Any, path: tuple[Any, ...], node: Any) -> Any:
    """Return a copy of nested lists and mappings with another node at the end of a path."""
    if not path:
        return node
    copy = value.copy()
    copy[path[0]] = with_node(value[path[0]], path[1:], node)
    return copy


@pytest.fixture(scope="session")
def fuzz() -> Callable[[Any, Callable[[Any], object], str], None]:
    """Return a test of a reader: whatever stands in place of any node, it reads it or says what is wrong.

    It takes the contents of a file that can be read, what reads them, and how an error begins.
    """

    def test(whole: Any, read: Callable[[Any], object], begin: str) -> None:
        nodes = list(paths(whole))

        def once(path: tuple[Any, ...], node: Any) -> None:
            try:
                read(with_node(whole, path, node))
            except ValueError as error:
                if not str(error).startswith(begin):
                    raise

        for path in nodes:
            for node in ODD:
                once(path, node)
            if path and isinstance(path[-1], str):
                once(path[:-1], {path[-1]: 1, "another": 2})
        settings(max_examples=200)(given(st.sampled_from(nodes), JSON)(once))()
        read(whole)

    return test


@pytest.fixture(scope="session", autouse=True)
def drawing() -> Iterator[Callable[[Shapes, str], object]]:
    """Draw an image of `shapes` once in a process, however many tests build with it; yield what draws it anew."""
    read = Shapes.read
    drawn = lru_cache(8192)(lambda image_id: read(Shapes(), image_id))  # of 12 kB
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shapes, "read", lambda _, image_id: drawn(image_id).copy())
        yield read


@pytest.fixture(scope="session", autouse=True)
def encoded_once() -> Iterator[None]:
    """Encode the same small picture as PNG once in a process, however many builds store it."""
    encode = pixels._encode_png
    encode_pixels = lru_cache(8192)(lambda size, data: encode(Image.frombytes("RGB", size, data)))

    def encode_once(image: Image.Image) -> bytes:
        image.load()
        is_small = image.width * image.height <= 64 * 64
        if image.mode == "RGB" and is_small and not image.info:  # its pixels decide the file
            return encode_pixels(image.size, image.tobytes())
        return encode(image)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pixels, "_encode_png", encode_once)
        yield


@pytest.fixture(scope="session", autouse=True)
def written_at_leisure() -> Iterator[None]:
    """Force no file to the disk: no test cuts the power, and thousands of files wait long for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def fresh_processes() -> Iterator[None]:
    """Start no fork server in a process of tests: it would keep the environment of the first test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "choose_processes", lambda modules: get_context("spawn"))
        yield


@pytest.fixture
def reads_back_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the check `roundtrip` load builds here: each new process imports `datasets` for seconds."""

    @contextmanager
    def isolated(workers: int) -> Iterator[Executor]:
        yield SERIAL

    import datasets  # noqa: F401, with the environment of the tests, since it reads it once

    for name in ("HF_HUB_OFFLINE", "HF_HOME"):  # the check sets both, and its process ends
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr(yaml, "SafeLoader", yaml.SafeLoader)  # the check sets this as well
    monkeypatch.setattr(roundtrip, "local", SimpleNamespace(isolated=isolated))


class Python2(pickle._Pickler):
    """Pickles as Python 2 did, protocol 2: text and bytes are both byte strings."""

    def save_text(self, text: str | bytes) -> None:
        """Write a byte string, as long as it is."""
        raw = text.encode("latin1") if isinstance(text, str) else text
        self.write(pickle.BINSTRING + struct.pack("<i", len(raw)) + raw)
        self.memoize(text)

    dispatch = {**pickle._Pickler.dispatch, str: save_text, bytes: save_text}  # noqa: RUF012, as in its base


def write_batch(path: Path, pixels: np.ndarray, labels: list[int]) -> None:
    """Write one batch like the official ones."""
    names = [f"{path.name}_{i}.png" for i in range(len(labels))]
    with path.open("wb") as file:
        raw = {"batch_label": path.name, "labels": labels, "data": pixels, "filenames": names}
        Python2(file, protocol=2).dump(raw)
    path.write_bytes(path.read_bytes().replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))


def make_cifar(parent: Path, seed: int = 0, each: int = 60) -> Path:
    """Write a folder of six batches of random images."""
    draw = np.random.default_rng(seed)
    folder = parent / CIFAR
    folder.mkdir(parents=True)
    for name in BATCHES:
        pixels = draw.integers(0, 256, (each, 3072), np.uint8)
        write_batch(folder / name, pixels, draw.integers(0, 10, each).tolist())
    return folder


def make_toy(
    root: Path, name: str = "toy", classes: int = 4, each: int = 25, stock: int = 40
) -> Path:
    """Write a dataset of images without pixels: ``each`` of every class to train on, ``stock`` wrong web images."""
    folder = root / "manifests" / name
    folder.mkdir(parents=True)
    (root / "annotations" / name).mkdir(parents=True)
    names = "".join(f"{i},class {chr(97 + i)}\n" for i in range(classes))
    (folder / "classes.csv").write_text("label,name\n" + names)
    label = np.arange(classes * each) % classes
    base = [{"image_id": f"b{i}", "label": int(c), "split": "train"} for i, c in enumerate(label)]
    base += [
        {"image_id": f"v{i}", "label": i % classes, "split": "validation"}
        for i in range(2 * classes)
    ]
    pq.write_table(pa.Table.from_pylist(base, MANIFEST), folder / "base.parquet")
    web = [
        {"image_id": f"w{c}.{i}", "label": c, "split": "web"}
        for c in range(classes)
        for i in range(stock + 2)
    ]
    pq.write_table(pa.Table.from_pylist(web, MANIFEST), folder / "web.parquet")
    votes = [
        {
            "image_id": row["image_id"],
            "label": row["label"],
            "annotator": "ann",
            "correct": i % (stock + 2) >= stock,
        }
        for i, row in enumerate(web)  # the last two of each class show it
    ]
    pq.write_table(
        pa.Table.from_pylist(votes, VOTES), root / "annotations" / name / "votes.parquet"
    )
    return root


@pytest.fixture(scope="session")
def cifar(tmp_path_factory) -> Path:
    """The parent of a CIFAR-10 folder: 300 training and 60 test images."""
    parent = tmp_path_factory.mktemp("cifar")
    make_cifar(parent)
    return parent


@pytest.fixture(scope="session")
def cifar_maker() -> Callable[..., Path]:
    """Make another CIFAR-10 folder."""
    return make_cifar


@pytest.fixture(scope="session")
def batch_writer() -> Callable[..., None]:
    """Write one batch file."""
    return write_batch


@pytest.fixture
def toy(tmp_path) -> Path:
    """The root of a dataset ``toy``: 4 classes of 25 images, 40 wrong web images each."""
    return make_toy(tmp_path / "root")


@pytest.fixture
def toy_maker() -> Callable[..., Path]:
    """Make another toy dataset."""
    return make_toy


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], dict[str, bytes]]:
    """Return the bytes of every file below a folder."""
    return lambda folder: {
        str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


TRAIN, VALIDATION, WEB = 20, 4, 28  # of each of the ten classes


def tiny_root(folder: Path, train: int = TRAIN, validation: int = VALIDATION) -> Path:
    """Write a small cut of the embedded dataset, laid out as a root of its own, and return the folder.

    Args:
        folder: of the root
        train: images of each class to train on
        validation: images of each class to validate on
    """
    ours = files.default_root()
    shutil.copytree(ours / "pipelines", folder / "pipelines")
    manifests, annotations = folder / "manifests" / "shapes", folder / "annotations" / "shapes"
    manifests.mkdir(parents=True)
    shutil.copy(ours / "manifests/shapes/classes.csv", manifests)
    base = tables.read_manifest(ours / "manifests/shapes/base.parquet", 10)
    web = tables.read_manifest(ours / "manifests/shapes/web.parquet", 10, web=True)
    votes = tables.read_votes(ours / "annotations/shapes/votes.parquet", web)
    web = _first_of_each(web, WEB)
    parts = []
    for split, each in (("train", train), ("validation", validation)):
        parts.append(_first_of_each(base.filter(pc.equal(base["split"], split)), each))
    tables.write_parquet(pa.concat_tables(parts), manifests / "base.parquet")
    tables.write_parquet(web, manifests / "web.parquet")
    known = pc.is_in(votes["image_id"], web["image_id"].combine_chunks())
    tables.write_parquet(votes.filter(known), annotations / "votes.parquet")
    return folder


def _first_of_each(table: pa.Table, n: int) -> pa.Table:
    """The first n rows of every label."""
    parts = [table.filter(pc.equal(table["label"], c))[:n] for c in range(10)]
    return pa.concat_tables(parts)


@pytest.fixture(scope="session")
def tiny() -> Callable[[Path], Path]:
    """Return what lays out a small cut of the embedded dataset as a root of its own."""
    return tiny_root


class S3:
    """A server of S3 that a test talks to; see `tests/s3_server.py`."""

    def __init__(self, address: str) -> None:
        self.address = address

    def fail(self, *faults: dict[str, Any]) -> None:
        """Let the next requests meet these faults, and forget the requests so far."""
        requests.put(f"{self.address}/_faults", json=faults, timeout=10).raise_for_status()

    def requests(self, method: str) -> list[str]:
        """Return the paths of the requests by a method since the faults were named."""
        told = requests.get(f"{self.address}/_faults", timeout=10).json()
        return [line.removeprefix(f"{method} ") for line in told if line.startswith(f"{method} ")]

    def contents(self, folder: str) -> dict[str, bytes]:
        """Return all files below BUCKET/FOLDER, by name."""
        files = fsspec.filesystem("s3", use_listings_cache=False)
        names = files.find(folder)
        return {name.removeprefix(f"{folder}/"): files.cat_file(name) for name in names}


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An empty storage in the memory of this process, as fsspec sees it."""
    monkeypatch.setenv("CNLW_CACHE", str(tmp_path / "cache"))
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    return files


@pytest.fixture(scope="session")
def s3_process() -> Iterator[str]:
    """Start the server, and yield its address."""
    server = Path(__file__).with_name("s3_server.py")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, server], text=True, **pipes) as process:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.stdin.close()


@pytest.fixture
def s3(s3_process: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> S3:
    """A server with an empty bucket `bucket`, in whose place no other one is asked."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_process)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(storage, "WAITS", 5 * [0.01])
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # of botocore, which waits long; s3fs tries again
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")  # it is not on loopback
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("CNLW_CACHE", str(tmp_path / "cache"))
    requests.post(f"{s3_process}/moto-api/reset", timeout=10).raise_for_status()
    requests.put(f"{s3_process}/bucket", timeout=10).raise_for_status()
    server = S3(s3_process)
    server.fail()
    fsspec.filesystem("s3").clear_instance_cache()
    return server


@pytest.fixture
def gs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """A server of Google Cloud Storage with an empty bucket `bucket`."""
    warnings.filterwarnings("ignore", "Sending a large body", ResourceWarning)  # to gcsfs
    os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"  # which would ask another server
    bucket = Bucket()
    server = gcs_server.start(bucket)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.url)
    monkeypatch.setitem(fsspec.config.conf, "gs", {"token": "anon"})  # no search for credentials
    monkeypatch.setenv("CNLW_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(storage, "WAITS", 5 * [0.01])
    fsspec.filesystem("gs").clear_instance_cache()
    yield bucket
    server.shutdown()
    server.server_close()


@pytest.fixture
def hf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A server of the Hugging Face Hub with an empty dataset repository `lab/noise`."""
    from huggingface_hub import constants

    warnings.filterwarnings("ignore", "Use 'content=", DeprecationWarning)  # to the client
    hub = Hub(exists=True, files={".gitattributes": b"*.parquet filter=lfs"})
    server = hub_server.start(hub)
    monkeypatch.setenv("HF_TOKEN", hub_server.TOKEN)
    monkeypatch.setenv("CNLW_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(storage, "WAITS", 5 * [0.01])
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    files = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
    fsspec.filesystem("hf").clear_instance_cache()
    yield hub
    server.shutdown()
    server.server_close()


ADDRESSES = {
    "memory": "memory://bucket",
    "s3": "s3://bucket",
    "gs": "gs://bucket",
    "hf": "hf://datasets/lab/noise",
}


@pytest.fixture(params=ADDRESSES)
def address(request: pytest.FixtureRequest) -> str:
    """The address of an empty place in each storage, of which a server runs here."""
    request.getfixturevalue(request.param)
    return ADDRESSES[request.param]
