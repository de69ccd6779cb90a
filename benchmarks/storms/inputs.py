"""Small files of every format that commands read."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from PIL import Image

FORMATS = ("png", "jpg", "webp", "gif", "bmp", "tiff", "avif", "pgm", "jp2", "ico", "tga")


def make_formats(template: Path) -> int:
    """Write the files below `formats/`."""
    from tests.conftest import make_cifar
    from tests.sources import conftest as published
    from tests.sources.released import mini_imagenet

    folder = template / "formats"
    folder.mkdir()
    make_images(folder / "images")
    lines = ["path,label"]
    for path in sorted((folder / "images").glob("*/*")):
        lines.append(f"images/{path.parent.name}/{path.name},{path.parent.name}")
    (folder / "images.csv").write_text("\n".join(lines) + "\n")
    make_arrow(template / "hf", folder / "arrow")
    make_cifar(folder / "cifar", each=6)
    for name in ("mnist", "svhn", "imagenet"):
        (folder / name).mkdir()
        getattr(published, name)(folder / name)
    (folder / "cars").mkdir()
    published.stanford_cars(folder / "cars")
    make_release(folder, mini_imagenet)
    make_answers(template, folder)
    make_sides(template, folder)
    (folder / "recipe.toml").write_text(
        'dataset = "tiny"\nnoise = "blue"\nlevels = [40]\nsize = 16\nlicence = "mit"\n'
    )
    make_plan(template, folder / "plan.parquet")
    return 0


def make_images(folder: Path) -> None:
    """Write one image of each format into each of two classes."""
    for label, name in enumerate(("circle", "square")):
        (folder / name).mkdir(parents=True)
        for i, suffix in enumerate(FORMATS):
            pixels = np.random.default_rng(100 * label + i).integers(0, 256, (4, 4, 3), np.uint8)
            image = Image.fromarray(pixels).resize((24, 24), Image.Resampling.BICUBIC)
            image = image.convert("L") if suffix == "pgm" else image
            image.save(folder / name / f"{i}.{suffix}")


def make_arrow(source: Path, folder: Path) -> None:
    """Write the Parquet files of a dataset anew, as save_to_disk does."""
    from datasets import Dataset, concatenate_datasets

    parts = [Dataset.from_parquet(str(path)) for path in sorted(source.glob("*.parquet"))]
    concatenate_datasets(parts).save_to_disk(folder, num_shards=2)


def make_release(folder: Path, write_release: Callable[[Path], Path]) -> None:
    """Write a small copy of the release of 2020, as a folder and as a zip."""
    complete = folder / "complete_release"
    complete.mkdir()
    write_release(complete)
    source = complete / "dataset_no_images"
    shutil.copytree(source, folder / "release")
    with zipfile.ZipFile(folder / "release.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(source.rglob("*")):
            archive.write(path, f"dataset_no_images/{path.relative_to(source)}")
    shutil.rmtree(complete)


def make_answers(template: Path, folder: Path) -> None:
    """Write votes as Parquet and as an export of Label Studio."""
    from cnlw_tools.dataset import tables

    rows = [line.split(",") for line in (template / "votes.csv").read_text().splitlines()[1:]]
    votes, tasks = [], []
    for number, (image_id, label, annotator, correct) in enumerate(rows):
        vote = {"image_id": image_id, "label": int(label), "annotator": annotator, "at": None}
        votes.append({**vote, "correct": correct == "true"})
        choice = {"choices": ["yes" if correct == "true" else "no"]}
        result = {"from_name": "shows", "to_name": "image", "type": "choices", "value": choice}
        task = {"image_id": image_id, "label": int(label)}
        answer = {"completed_by": int(annotator), "result": [result], "was_cancelled": False}
        tasks.append({"id": number, "data": task, "annotations": [answer]})
    pq.write_table(pa.Table.from_pylist(votes, tables.VOTES), folder / "votes.parquet")
    (folder / "answers.json").write_text(json.dumps(tasks))


def make_sides(template: Path, folder: Path) -> None:
    """Write features of the training images in every form of a side table."""
    base = pq.read_table(template / "root/manifests/tiny/base.parquet")
    ids = base.filter(pc.equal(base["split"], "train"))["image_id"].to_pylist()
    features = np.random.default_rng(0).random((len(ids), 4)).astype(np.float32)
    np.save(folder / "side.npy", features)
    np.savez_compressed(folder / "side.npz", features=features)
    (folder / "side.json").write_text(json.dumps(features.tolist()))
    side = pa.table({"image_id": sorted(ids), "features": features.tolist()})
    pq.write_table(side, folder / "side.parquet")
    labels = {"worse_label": np.random.default_rng(1).integers(0, 3, len(ids))}
    torch.save(labels, folder / "human.pt")
    np.save(folder / "human.npy", labels)


def make_plan(template: Path, path: Path) -> None:
    """Write a plan."""
    from benchmarks.storms.commands import TINY
    from cnlw_tools import cli

    words = f"plan {TINY} --noise blue --level 20 --workers 1 --out {path}".split()
    cli.main(args=words, prog_name="cnlw", standalone_mode=False)
