"""Every reader of a file that a user or the web brought returns a value, or raises one kind of error."""

import io
import json
import pickle
import resource
import signal
import sqlite3
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from gzip import compress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cnlw_tools.card.metadata import read_card
from cnlw_tools.dataset.side_table import read_side_table
from cnlw_tools.dataset.tables import read_manifest, read_votes
from cnlw_tools.files.archives import read_tar_members
from cnlw_tools.files.arrays import read_mat
from cnlw_tools.files.parquet import read_plain_group
from cnlw_tools.files.texts import read_json
from cnlw_tools.ingest.candidates import read_candidates
from cnlw_tools.ingest.import_votes import read_vote_file
from cnlw_tools.recipe.preset import read_preset
from cnlw_tools.recipe.run_files import read_config, read_metrics, read_result
from cnlw_tools.sources.cifar10 import read_batch
from cnlw_tools.sources.formats.release import Release, read_annotations
from cnlw_tools.sources.formats.table_files import open_table_file, read_chunk, read_column
from cnlw_tools.sources.formats.tar import TarArchive
from cnlw_tools.sources.mnist import read_idx
from cnlw_tools.store.img2dataset import import_images
from cnlw_tools.store.manifest import Manifest
from cnlw_tools.store.placeholders import read_list
from cnlw_tools.store.snapshot import write_snapshot
from cnlw_tools.store.store import Row, Store, open_ledger
from tests.files.mutations import mutate

N_MUTATIONS = 108  # a dozen of each kind
LONGEST = 10  # seconds for one file
MAX_MEMORY = 1 << 30  # bytes that all files together may add to the process
N = 30
IDS = [f"train-{i:05d}" for i in range(N)]


class Reader(NamedTuple):
    """A reader, the name of its file, and a sound one."""

    name: str
    make: Callable[[], bytes]
    read: Callable[[Path], object]


def parquet(**options):
    table = pa.table(
        {
            "image_id": IDS,
            "label": pa.array([i % 2 for i in range(N)], pa.int32()),
            "split": ["train"] * N,
            "uri": [f"http://x/{i}" for i in range(N)],
            "sha256": pa.nulls(N, pa.string()),
        }
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


def votes():
    table = pa.table(
        {
            "image_id": IDS,
            "label": [1] * N,
            "annotator": ["a"] * N,
            "correct": [1] * N,
            "at": pa.nulls(N),
        }
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def arrow(file_format):
    table = pa.table({"label": list(range(N)), "image": [b"x" * 50] * N})
    buffer = io.BytesIO()
    new_writer = pa.ipc.new_file if file_format else pa.ipc.new_stream
    with new_writer(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue()


def numpy_file(save, *values, **arrays):
    buffer = io.BytesIO()
    save(buffer, *values, **arrays)
    return buffer.getvalue()


def torch_file(**options):
    torch = pytest.importorskip("torch")
    return numpy_file(
        lambda buffer: torch.save(
            {"a": torch.arange(N), "worse_label": np.arange(N)}, buffer, **options
        )
    )


def mat():
    from scipy.io import savemat

    records = np.array([(1, "a.jpg"), (2, "b.jpg")], [("class", "i4"), ("fname", "O")])
    return numpy_file(
        lambda buffer: savemat(
            buffer, {"annotations": records, "X": np.eye(9)}, do_compression=True
        )
    )


def batch():
    content = {"data": np.zeros((N, 3072), np.uint8), "labels": [i % 10 for i in range(N)]}
    return pickle.dumps(content, protocol=2)


ANNOTATION = {"image/uri": "http://x", "image/class/label": 1, "image/class/label/is_clean": True}
VERDICTS = {"data": [[{"image/id": f"w{i}", **ANNOTATION}] for i in range(N)]}
TASKS = [
    {
        "data": {"image_id": name, "label": 1},
        "annotations": [
            {
                "completed_by": {"id": 1, "email": "a@x.org"},
                "updated_at": "2026-01-02T03:04:05Z",
                "result": [{"from_name": "shows", "value": {"choices": ["yes"]}}],
            }
        ],
    }
    for name in IDS[:5]
]


def release():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        folder = "dataset_no_images"
        archive.writestr(f"{folder}/mini-imagenet-annotations.json", json.dumps(VERDICTS))
        archive.writestr(f"{folder}/mini-imagenet/class_names.txt", "a\nb\n")
        archive.writestr(f"{folder}/mini-imagenet/split/red_noise_nl_0.4", "w1.jpg 1\nw2.jpg 0\n")
    return buffer.getvalue()


def tar(mode, names=("kit/a.txt", "kit/" + "b" * 150 + ".txt")):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 600
            archive.addfile(member, io.BytesIO(b"1" * 600))
    return buffer.getvalue()


def idx():
    return compress(struct.pack(">HBBIII", 0, 8, 3, 4, 28, 28) + bytes(4 * 784), mtime=0)


def ledger():
    connection = sqlite3.connect(":memory:")
    from cnlw_tools.store.store import COLUMNS, INSERT, row_values

    columns = ", ".join(COLUMNS)
    connection.execute(f"CREATE TABLE ledger ({columns}, PRIMARY KEY (image_id)) WITHOUT ROWID")
    for name in IDS:
        row = Row(name, "http://x", "ok", None, 1, 1.5, fingerprint=bytes(16), format="png")
        connection.execute(INSERT, row_values(row))
    connection.commit()
    return connection.serialize()


CONFIG = {
    "build": "b", "config": "blue_40", "noise": "blue", "level": 40, "data": {"train": "x"},
    "method": "vanilla", "options": {"a": [1, 2]}, "net": "n", "seed": 1, "preset": {"lr": 0.1},
    "ranks": 1, "pretrained": False, "weights": None, "versions": {}, "command": ["cnlw"],
}  # fmt: skip
METRICS = {"epoch": 1, "seconds": 2.5, "val_top1": 50.0}
RESULT = {"epochs": 1, "last": 50.0, "best": 50.0, "mean10": 50.0}
PRESETS = Path(__file__).parents[2] / "pipelines" / "train"


def as_json(value):
    return lambda: json.dumps(value).encode()


def card():
    text = "cnlw: {made_with: {x: '1'}, dataset: d, images: {size: 32}, layout: shared, shards: {a: b}}\n"
    return f"---\nlicense: mit\na: &a [1, 2]\nb: [*a, *a]\n{text}---\n".encode()


def read_release(path):
    found = Release(path, "mini_imagenet")
    found.check_class_order(["a", "b"])
    return found.read_candidates(), found.read_published_splits(int)


def read_whole_table_file(path):
    file = open_table_file(path)
    read_column(file, "label")
    return [read_chunk(chunk, "image") for chunk in file.chunks]


def read_store(path):
    with Store(path.parent) as store:
        list(store.rows())
        list(store.fingerprints())
        store.read_states(IDS)
        write_snapshot(store, has_new_rows=True)


def packed() -> bytes:
    table = pa.table({"image_id": IDS, "image": [b"x" * 100] * len(IDS)})
    return numpy_file(lambda file: pq.write_table(table, file, use_dictionary=False))


def read_packed(path):
    with path.open("rb") as file:
        rows, footer = read_plain_group(file, path, 0, ["image_id", "image"])
        return rows, read_plain_group(file, path, 0, ["image_id", "image"], footer)


def read_img2dataset(path):
    columns = {
        "image_id": ["a", "b"],
        "url": ["u"] * 2,
        "key": ["a", "b" * 150],
        "status": ["success"] * 2,
    }
    pq.write_table(pa.table(columns), path.with_suffix(".parquet"))
    with open_ledger(path.parent / "store") as store:
        import_images(path.parent, store)


def read_side(path):
    return read_side_table(path, pa.chunked_array([IDS]))


def read_blocks(path):
    return list(Manifest(path).read_blocks())


def candidates():
    rows = [f'{("cup", "jug")[i % 2]};https://example.org/{i}.jpg;"a; b"' for i in range(N)]
    return "\n".join(["class;url;query", *rows]).encode("utf-8-sig")


READERS = {
    "verdicts": Reader("a.json", as_json(VERDICTS), read_annotations),
    "export of Label Studio": Reader("a.json", as_json(TASKS), read_vote_file),
    "JSON": Reader("a.json", as_json(VERDICTS), read_json),
    "config of a run": Reader("config.json", as_json(CONFIG), lambda path: read_config(path.parent)),
    "metrics": Reader("metrics.jsonl", as_json(METRICS), lambda path: read_metrics(path.parent)),
    "result": Reader("result.json", as_json(RESULT), lambda path: read_result(path.parent)),
    "preset": Reader(
        "p.toml", (PRESETS / "cifar10.toml").read_bytes, lambda path: read_preset(str(path), path.parent)
    ),
    "card": Reader("README.md", card, lambda path: read_card(path.parent)),
    "csv": Reader("a.csv", lambda: b"sha256,what\n" + b"0" * 64 + b",x\n", read_list),
    "candidates": Reader("a.csv", candidates, lambda path: read_candidates(path, ("cup", "jug"))),
    "manifest": Reader("a.parquet", parquet, lambda path: read_manifest(path, 2)),
    "manifest, other pages": Reader(
        "a.parquet",
        lambda: parquet(compression="gzip", use_dictionary=False, data_page_version="2.0"),
        lambda path: read_manifest(path, 2),
    ),
    "votes": Reader(
        "a.parquet", votes, lambda path: read_votes(path, pa.table({"image_id": IDS, "label": [1] * N}))
    ),
    "links": Reader("a.parquet", parquet, read_blocks),
    "Arrow stream": Reader("a.arrow", lambda: arrow(False), read_whole_table_file),
    "Feather": Reader("a.feather", lambda: arrow(True), read_whole_table_file),
    "Parquet of the Hub": Reader(
        "a.parquet", lambda: numpy_file(lambda b: pq.write_table(pa.table({"label": [1], "image": [b"x"]}), b)),
        read_whole_table_file,
    ),
    "side npy": Reader("a.npy", lambda: numpy_file(np.save, np.arange(N)), read_side),
    "side npz": Reader("a.npz", lambda: numpy_file(np.savez_compressed, a=np.arange(N), b=np.eye(N)), read_side),
    "side pickled npy": Reader(
        "a.npy", lambda: numpy_file(np.save, {"a": np.arange(N)}, allow_pickle=True), read_side
    ),
    "side json": Reader("a.json", as_json(list(range(N))), read_side),
    "side pt": Reader("a.pt", torch_file, read_side),
    "side old pt": Reader("a.pt", lambda: torch_file(_use_new_zipfile_serialization=False), read_side),
    "batch of CIFAR": Reader("data_batch_1", batch, read_batch),
    "MATLAB": Reader("a.mat", mat, lambda path: read_mat(path, ["annotations", "X"])),
    "release": Reader("dataset_no_images.zip", release, read_release),
    "tar": Reader("a.tar", lambda: tar("w"), lambda path: TarArchive(path).members),
    "tar.gz": Reader("a.tar.gz", lambda: tar("w:gz"), lambda path: read_tar_members(path, ["kit/a.txt"], 1 << 20)),
    "img2dataset": Reader(
        "00000.tar", lambda: tar("w", ("a.jpg", "b" * 150 + ".jpg")), read_img2dataset
    ),
    "idx": Reader("a.gz", idx, lambda path: read_idx(path, 3)),
    "pack": Reader("a.parquet", packed, read_packed),
    "ledger": Reader("ledger.sqlite", ledger, read_store),
}  # fmt: skip


def too_long(*_):
    raise KeyboardInterrupt("a file took too long")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_a_value_or_one_error(name, tmp_path):
    """No mutation of a file makes its reader raise another error, hang, or fill the memory."""
    reader = READERS[name]
    data = reader.make()
    path = tmp_path / reader.name
    path.write_bytes(data)
    reader.read(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    handler = signal.signal(signal.SIGALRM, too_long)
    try:
        for content in mutate(data, zlib.crc32(name.encode()), N_MUTATIONS):
            path.write_bytes(content)
            signal.alarm(LONGEST)
            try:
                reader.read(path)
            except (ValueError, LookupError, OSError) as error:
                message = str(error)
                assert str(tmp_path) in message
                assert len(message) < 2_000
                assert "\n" not in message
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MAX_MEMORY >> 10
