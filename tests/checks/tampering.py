"""Tampers: everything that somebody could change in a build, with whatever records it made to match.

    lab = make_lab(folder)                   a small dataset of one's own, its store, and a build
    tamper(lab, build, "a label is changed", seed=0)

A tamper changes the files of a build. Then `record_anew` makes the hashes, digests and numbers on the
card match what lies there, as somebody who knows the format would. `TAMPERS` says of each what
`cnlw validate` finds, from the build alone and with the images at hand; docs/validate.md shows it.
"""

import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any
from zlib import Z_RLE

import numpy as np
import PIL
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cnlw_tools import files
from cnlw_tools.builds.build import build, describe_config, noisiest_config
from cnlw_tools.builds.segments import cut_segments
from cnlw_tools.card import metadata, render
from cnlw_tools.card.about import About
from cnlw_tools.card.file_list import CROISSANT
from cnlw_tools.card.metadata import BuildCard
from cnlw_tools.card.sample_grid import draw_samples
from cnlw_tools.dataset import dataset, tables
from cnlw_tools.dataset.tables import MANIFEST, VOTES
from cnlw_tools.images.pixels import fingerprint
from cnlw_tools.ingest.import_dataset import import_source
from cnlw_tools.plans.plan import plan
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import parse_recipe
from cnlw_tools.store.store import Row, open_ledger
from tests.shard_files import write_shard

CLASSES = ("ant", "bee", "cat", "dog")
TRAIN, VALIDATION, WEB = 10, 2, 10  # images of each class
SIDE = 16  # pixels
MODES = {2: "L", 3: "CMYK", 4: "RGBA", 6: "P"}  # by the number of an image: not stored as they come
NAME = "toys"
LICENCE = "cc-by-4.0"
RECIPES = (("red", [20, 40]), ("blue", [40]))
BLUE, RED = "blue_40", "red_40"

Draw = np.random.Generator
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Lab:
    """A dataset of one's own, and a build of it."""

    root: Path
    data_dir: Path
    store: Path
    build: Path

    def inputs(self, root: Path | None = None) -> Inputs:
        """Return where everything lies."""
        return Inputs(root or self.root, self.data_dir, store=self.store)


@dataclass(frozen=True)
class Tamper:
    """One way to change a build, and what `cnlw validate` says then: error, note or nothing."""

    edit: Callable[[Path, Draw, Lab], None]
    alone: str = "error"
    with_images: str = "error"
    is_recorded: bool = True  # hashes, digests and numbers are made to match


def make_lab(folder: Path, seed: int = 0) -> Lab:
    """Write images, a store of web images, tables, and a build of red and blue noise."""
    lab = Lab(folder / "root", folder / "images", folder / "store", folder / "build")
    draw = np.random.default_rng(seed)
    for split, count in (("train", TRAIN), ("validation", VALIDATION)):
        for name in CLASSES:
            for i in range(count):
                path = lab.data_dir / split / name / f"{i}.{'jpg' if i % 2 else 'png'}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(_picture(draw, "JPEG" if i % 2 else "PNG", MODES.get(i, "RGB")))
    import_source("folder", lab.data_dir, NAME, lab.root)
    web: Rows = []
    with open_ledger(lab.store) as ledger:
        for label in range(len(CLASSES)):
            for i in range(WEB):
                image_id = f"w{label}{i}"
                uri = f"https://example.org/{image_id}"
                web.append({"image_id": image_id, "label": label, "split": "web", "uri": uri})
                ledger.write_row(_ledger_row(ledger, image_id, uri, _picture(draw, "PNG")))
    votes = [
        {"image_id": row["image_id"], "label": row["label"], "annotator": a, "correct": False}
        for row in web
        for a in ("1", "2")
    ]
    _write(web, MANIFEST, lab.root / "manifests" / NAME / "web.parquet")
    _write(votes, VOTES, lab.root / "annotations" / NAME / "votes.parquet")
    build_all(lab, lab.root, lab.build)
    return lab


def _picture(draw: Draw, kind: str, mode: str = "RGB") -> bytes:
    colours = Image.fromarray(draw.integers(0, 240, (4, 4, 3), np.uint8))
    return encode(colours.resize((SIDE, SIDE)).convert(mode), kind, quality=90)


def _ledger_row(ledger: Any, image_id: str, uri: str, data: bytes) -> Row:
    mtime = ledger.write_image(image_id, "png", data)
    look = fingerprint(Image.open(BytesIO(data)).convert("RGB"))
    digest = sha256(data).hexdigest()
    size = len(data)
    begin = (image_id, uri, "ok", None, 1, 0.0, uri, 200, None, digest, size)
    return Row(*begin, "png", SIDE, SIDE, look, mtime)


def _write(rows: Rows, schema: pa.Schema, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tables.write_parquet(pa.Table.from_pylist(rows, schema), path)


def build_all(lab: Lab, root: Path, out: Path, **choices: Any) -> None:
    """Build every recipe of the lab from the tables of a root."""
    for noise, levels in RECIPES:
        keys = {"dataset": NAME, "noise": noise, "levels": levels, "licence": LICENCE, **choices}
        build(parse_recipe(keys, "the lab"), lab.inputs(root), out)


def tamper(lab: Lab, folder: Path, name: str, seed: int = 0) -> None:
    """Tamper with a copy of the lab's build in one way, by name."""
    chosen = TAMPERS[name]
    chosen.edit(folder, np.random.default_rng(seed), lab)
    if chosen.is_recorded:
        record_anew(folder)


def record_anew(folder: Path) -> None:
    """Make all that the card records match what lies in the build, and draw its pictures again."""
    old = metadata.read_card(folder)
    data = dataset.read_tables(old.dataset, folder / "tables", folder / "tables")
    configs = {}
    plans = {}
    for name, config in old.configs.items():
        plans[name] = plan(config.recipe, data, config.level)
        parts = list(cut_segments(plans[name], old.images, old.layout))
        segments = config.segments
        configs[name] = replace(describe_config(plans[name], parts), segments=segments)
    shards = {path.name: files.digest(path) for path in sorted((folder / "data").glob("*.parquet"))}
    card = replace(old, shards=shards, tables=data.digests, configs=configs)
    for noise, _ in RECIPES:
        config = noisiest_config(card, noise)
        shown = {}
        for split in configs[config].segments.values():
            for name in shards:
                if name.partition("-")[0] in split:
                    shown[name] = pq.read_table(folder / "data" / name)
        try:
            data_folder = folder / "data"
            samples = draw_samples(noise, data_folder, plans[config], shown, data.classes)
            samples.save(folder / f"samples_{noise}.png", compress_type=Z_RLE)
        except (LookupError, ValueError, OSError):
            pass  # an image that is damaged
    write_card(folder, card)


def write_card(folder: Path, card: BuildCard) -> None:
    """Write block and text of a card."""
    classes = tables.read_classes(folder / "tables/classes.csv")
    render.write_card(folder, card, classes)


# Rows


def shard(
    folder: Path, draw: Draw, noisy: bool | None = False, config: str = RED, split: str = "train"
) -> tuple[Path, int]:
    """Return a shard of a config and one of its rows, drawn among the noisy or the clean ones."""
    found = []
    for segment in metadata.read_card(folder).configs[config].segments[split]:
        for path in sorted((folder / "data").glob(f"{segment}-*")):
            for row, is_noisy in enumerate(pq.read_table(path)["is_noisy"].to_pylist()):
                if noisy is None or is_noisy == noisy:
                    found.append((path, row))
    return found[int(draw.integers(len(found)))]


def rewrite(path: Path, rows: Rows, schema: pa.Schema | None = None) -> None:
    """Write a shard with other rows, as a build would."""
    old = pq.read_schema(path)
    if schema is not None and schema != old:
        table = pa.Table.from_pylist(rows, schema)
        pq.write_table(table, path, compression="none", write_page_index=True)
        return
    table = pa.Table.from_pylist(rows, old)
    pq.write_table(
        table,
        path,
        compression=dict.fromkeys(("image.bytes", "image.path"), "none"),
        use_dictionary=False,
        write_page_index=True,
    )


def edit_row(noisy: bool | None = False, **where: str) -> Callable[..., Callable[..., None]]:
    """Return a maker of tampers that change one row by a function of the row and the draw."""

    def make(change: Callable[[dict[str, Any], Draw], None]) -> Callable[..., None]:
        def edit(folder: Path, draw: Draw, _: Lab) -> None:
            path, row = shard(folder, draw, noisy, **where)
            rows = pq.read_table(path).to_pylist()
            change(rows[row], draw)
            rewrite(path, rows)

        return edit

    return make


def edit_rows(change: Callable[[Rows, int], Rows], noisy: bool | None = False) -> Any:
    """Return a tamper that changes the rows of one shard, given the place of a drawn one."""

    def edit(folder: Path, draw: Draw, _: Lab) -> None:
        path, row = shard(folder, draw, noisy)
        rewrite(path, change(pq.read_table(path).to_pylist(), row))

    return edit


def edit_table(change: Callable[[pa.Table], pa.Table], **options: Any) -> Any:
    """Return a tamper that writes one shard as another table."""

    def edit(folder: Path, draw: Draw, _: Lab) -> None:
        path, _row = shard(folder, draw)
        table = change(pq.read_table(path))
        kept = {"compression": "none", "write_page_index": True, **options}
        pq.write_table(table, path, **kept)

    return edit


def other_label(row: dict[str, Any]) -> int:
    return (int(row["label"]) + 1) % len(CLASSES)


def exchange(column: str) -> Callable[[Rows, int], Rows]:
    """Exchange a value of a row with that of the next row that has another."""

    def change(rows: Rows, i: int) -> Rows:
        j = next(
            (i + k) % len(rows)
            for k in range(1, len(rows))
            if rows[(i + k) % len(rows)]["label"] != rows[i]["label"]
        )
        rows[i][column], rows[j][column] = rows[j][column], rows[i][column]
        return rows

    return change


def move_validation_row(folder: Path, draw: Draw, _: Lab) -> None:
    source, i = shard(folder, draw, split="validation")
    path, row = shard(folder, draw)
    rows = pq.read_table(path).to_pylist()
    rows[row] = pq.read_table(source).to_pylist()[i]
    rewrite(path, rows)


def image_from_validation(folder: Path, draw: Draw, _: Lab) -> None:
    source, i = shard(folder, draw, split="validation")
    path, row = shard(folder, draw, True)
    rows = pq.read_table(path).to_pylist()
    rows[row]["image"] = pq.read_table(source).to_pylist()[i]["image"]
    rewrite(path, rows)


def on_shard(change: Callable[[Path], None]) -> Any:
    """Return a tamper that changes a file of red_40."""

    def edit(folder: Path, draw: Draw, _: Lab) -> None:
        change(shard(folder, draw)[0])

    return edit


def names_of_shards(folder: Path, draw: Draw, _: Lab) -> None:
    """Exchange two class names in every shard."""
    for path in (folder / "data").glob("*.parquet"):
        table = pq.read_table(path)
        images = table["image"].combine_chunks().field("bytes").to_pylist()
        write_shard(path, table, images, [CLASSES[1], CLASSES[0], *CLASSES[2:]])


# Images


def image(change: Callable[[bytes], bytes | None], noisy: bool) -> Any:
    """Return a tamper that changes the file of one image: a web image if noisy, else an own one."""

    def edit(row: dict[str, Any], _: Draw) -> None:
        row["image"] = {"bytes": change(row["image"]["bytes"]), "path": None}

    return edit_row(noisy)(edit)


def pixels(data: bytes) -> np.ndarray:
    return np.array(Image.open(BytesIO(data)).convert("RGB"))


def png(array: np.ndarray, **options: Any) -> bytes:
    return encode(Image.fromarray(array), "PNG", **options)


def encode(picture: Image.Image, kind: str, **options: Any) -> bytes:
    out = BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def one_pixel(data: bytes) -> bytes:
    array = pixels(data)
    array[3, 3] ^= 255
    return png(array)


def red_patch(data: bytes) -> bytes:
    array = pixels(data)
    array[: SIDE // 4, : SIDE // 4] = (255, 0, 0)
    return png(array)


def brighter(data: bytes) -> bytes:
    return png(np.minimum(pixels(data).astype(int) + 7, 255).astype(np.uint8))


def with_text(data: bytes) -> bytes:
    text = PngInfo()
    text.add_text("class", "bee")
    return png(pixels(data), pnginfo=text)


def transparent(data: bytes) -> bytes:
    return encode(Image.fromarray(pixels(data)).convert("RGBA"), "PNG")


def animated(data: bytes) -> bytes:
    array = pixels(data)
    return png(array, save_all=True, append_images=[Image.fromarray(255 - array)])


def zipped(data: bytes) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("run.sh", "echo")
    return data + out.getvalue()


def jpeg_comment(data: bytes) -> bytes:
    return encode(Image.fromarray(pixels(data)), "JPEG", quality=95, comment=b"bee")


def lossless(kind: str) -> Callable[[bytes], bytes]:
    return lambda data: encode(
        Image.fromarray(pixels(data)), kind, **({"lossless": True} if kind == "WEBP" else {})
    )


def broken_avif(data: bytes) -> bytes:
    encoded = bytearray(encode(Image.fromarray(pixels(data)), "AVIF"))
    encoded[len(encoded) // 2 :] = bytes(len(encoded) - len(encoded) // 2)
    return bytes(encoded)


def with_other_pillow(change: Callable[[bytes], bytes], noisy: bool) -> Any:
    """Return a tamper of an image that names another Pillow, of another decoder, as an excuse."""

    def edit(folder: Path, draw: Draw, lab: Lab) -> None:
        image(change, noisy)(folder, draw, lab)
        replace_text(folder, PIL.__version__, "11.0.0")

    return edit


def exchange_pictures(noisy: bool) -> Any:
    """Return a tamper that exchanges the pictures of two rows with different labels."""
    return edit_rows(exchange("image"), noisy)


def with_its_digest(folder: Path, draw: Draw, lab: Lab) -> None:
    """Put another picture under an own id, with its sha256 in the base manifest."""
    path, row = shard(folder, draw)
    rows = pq.read_table(path).to_pylist()
    data = brighter(rows[row]["image"]["bytes"])
    chosen = rows[row]["image_id"]
    for file in (folder / "data").glob("*.parquet"):
        edited = pq.read_table(file).to_pylist()
        if chosen in [r["image_id"] for r in edited]:
            for r in edited:
                if r["image_id"] == chosen:
                    r["image"] = {"bytes": data, "path": None}
            rewrite(file, edited)

    def change(rows: Rows) -> None:
        for r in rows:
            if r["image_id"] == chosen:
                r["sha256"] = sha256(data).hexdigest()

    edit_file(folder / "tables/base.parquet", change)


# Tables


def edit_file(path: Path, change: Callable[[Rows], Any]) -> None:
    """Change the rows of a table in place."""
    table = pq.read_table(path)
    rows = table.to_pylist()
    changed = change(rows)
    tables.write_parquet(
        pa.Table.from_pylist(rows if changed is None else changed, table.schema), path
    )


def table(name: str, change: Callable[[Rows], Any]) -> Any:
    """Return a tamper of one table of the build."""
    return lambda folder, *_: edit_file(folder / "tables" / f"{name}.parquet", change)


def turn_used_votes(folder: Path, draw: Draw, _: Lab) -> None:
    """Turn the votes on a web image of the build."""
    path, row = shard(folder, draw, True)
    image_id = pq.read_table(path)["image_id"][row].as_py()

    def change(rows: Rows) -> None:
        for r in rows:
            r["correct"] |= r["image_id"] == image_id

    edit_file(folder / "tables/votes.parquet", change)


def without_last(rows: Rows) -> Rows:
    """Leave out the last candidate, or the votes on it."""
    last = rows[-1]["image_id"]
    return [row for row in rows if row["image_id"] != last]


def forged(name: str, change: Callable[[Rows], Any], *others: str) -> Any:
    """Return a tamper that builds everything anew from a table that was changed, and others."""

    def edit(folder: Path, _: Draw, lab: Lab) -> None:
        root = folder.with_name("forged")
        shutil.copytree(lab.root, root)
        for changed in (name, *others):
            parent = "annotations" if changed == "votes" else "manifests"
            edit_file(root / parent / NAME / f"{changed}.parquet", change)
        shutil.rmtree(folder)
        build_all(lab, root, folder)

    return edit


def other_source(folder: Path, *_: Any) -> None:
    """Name another source of the images, which the digest of the rows does not cover."""
    path = folder / "tables/base.parquet"
    content = pq.read_table(path)
    metadata_ = content.schema.metadata
    changed = {key: value.replace(b"folder", b"attic") for key, value in metadata_.items()}
    pq.write_table(content.replace_schema_metadata(changed), path)


def renamed(names: tuple[str, ...]) -> Any:
    """Return a tamper that gives the classes other names, in tables and shards."""

    def edit(folder: Path, *_: Any) -> None:
        labels = pa.array(range(len(names)), pa.int32())
        rows = pa.table({"label": labels, "name": list(names)})
        tables.write_csv(rows, folder / "tables/classes.csv")
        for path in (folder / "data").glob("*.parquet"):
            content = pq.read_table(path)
            images = content["image"].combine_chunks().field("bytes").to_pylist()
            write_shard(path, content, images, names)

    return edit


def exchange_labels(rows: Rows) -> None:
    """Exchange the labels of two training images."""
    train = [row for row in rows if row["split"] == "train"]
    first = train[0]
    second = next(row for row in train if row["label"] != first["label"])
    first["label"], second["label"] = second["label"], first["label"]


def exchange_splits(rows: Rows) -> None:
    """Exchange a training image with a validation image of its class."""
    first = next(row for row in rows if row["split"] == "train")
    second = next(r for r in rows if r["split"] == "validation" and r["label"] == first["label"])
    first["split"], second["split"] = second["split"], first["split"]


def turn_votes(rows: Rows) -> None:
    """Turn the votes on an image."""
    for row in rows[:2]:
        row["correct"] = True


def other_uris(rows: Rows) -> None:
    for row in rows:
        row["uri"] = row["uri"].replace("example", "elsewhere")


# The card


def replace_text(folder: Path, old: str, new: str, times: int = -1) -> None:
    """Replace a text of the card; it has to be there."""
    path = folder / "README.md"
    content = path.read_text()
    assert old in content, old
    path.write_text(content.replace(old, new, times))


def text(old: str, new: str, times: int = -1) -> Any:
    """Return a tamper that replaces a text of the card."""
    return lambda folder, *_: replace_text(folder, old, new, times)


def croissant(old: str, new: str, times: int = -1) -> Any:
    """Return a tamper of a text of `croissant.json`."""

    def edit(folder: Path, *_: Any) -> None:
        content = (folder / CROISSANT).read_text()
        assert old in content
        (folder / CROISSANT).write_text(content.replace(old, new, times))

    return edit


def claim(config: str = BLUE, **claims: Any) -> Any:
    """Return a tamper of what the card says of a config, in block and text alike."""

    def edit(folder: Path, *_: Any) -> None:
        card = metadata.read_card(folder)
        changed = replace(card.configs[config], **claims)
        write_card(folder, replace(card, configs={**card.configs, config: changed}))

    return edit


def claim_of_build(**claims: Any) -> Any:
    """Return a tamper of what the card says of the build, in block and text alike."""
    return lambda folder, *_: write_card(folder, replace(metadata.read_card(folder), **claims))


def rename_everywhere(folder: Path, *_: Any) -> None:
    """Give the dataset another name, on the card and in the list of files."""
    replace_text(folder, NAME, "flowers")
    write_card(folder, metadata.read_card(folder))


def claim_of_recipe(**choices: Any) -> Any:
    """Return a tamper of the recipe of a config."""

    def edit(folder: Path, *_: Any) -> None:
        card = metadata.read_card(folder)
        config = card.configs[BLUE]
        changed = replace(config, recipe=replace(config.recipe, **choices))
        write_card(folder, replace(card, configs={**card.configs, BLUE: changed}))

    return edit


def versions(**made_with: str) -> Any:
    """Return a tamper of the versions on the card."""

    def edit(folder: Path, *_: Any) -> None:
        card = metadata.read_card(folder)
        write_card(folder, replace(card, made_with={**card.made_with, **made_with}))

    return edit


def segments(change: Callable[[dict[str, list[str]]], None]) -> Any:
    """Return a tamper of the segments of blue_40."""

    def edit(folder: Path, *_: Any) -> None:
        card = metadata.read_card(folder)
        config = card.configs[BLUE]
        parts = {split: [*names] for split, names in config.segments.items()}
        change(parts)
        changed = replace(config, segments=parts)
        write_card(folder, replace(card, configs={**card.configs, BLUE: changed}))

    return edit


def exchange_splits_of_card(parts: dict[str, list[str]]) -> None:
    parts["train"], parts["validation"] = parts["validation"], parts["train"]


def without_config(folder: Path, *_: Any) -> None:
    """Remove a config with the files that it alone needs, as if it had never been built."""
    card = metadata.read_card(folder)
    configs = {name: config for name, config in card.configs.items() if name != "red_20"}
    needed = {
        segment
        for config in configs.values()
        for names in config.segments.values()
        for segment in names
    }
    shards = {name: sha for name, sha in card.shards.items() if name.partition("-")[0] in needed}
    for name in card.shards.keys() - shards.keys():
        (folder / "data" / name).unlink()
    write_card(folder, replace(card, configs=configs, shards=shards))


def whole_text(folder: Path, *_: Any) -> None:
    path = folder / "README.md"
    block = path.read_text().split("\n---\n")[0]
    path.write_text(f"{block}\n---\n\n0 % of the labels are wrong.\n")


def beside_config(line: str) -> Any:
    """Return a tamper that adds a line to a config in the block."""
    return text(f"- config_name: {BLUE}\n", f"- config_name: {BLUE}\n  {line}\n")


# Files


def add(path: str, content: bytes = b"x") -> Any:
    """Return a tamper that adds a file."""

    def edit(folder: Path, *_: Any) -> None:
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(content)

    return edit


def copied_shard(name: str) -> Any:
    """Return a tamper that adds a copy of a shard under another name, and keeps the card."""

    def edit(folder: Path, draw: Draw, _: Lab) -> None:
        path, _row = shard(folder, draw)
        segment = path.name.partition("-")[0]
        shutil.copy(path, folder / "data" / name.format(segment=segment))

    return edit


def link(path: str, outside: bool) -> Any:
    """Return a tamper that puts a link in the place of a file."""

    def edit(folder: Path, draw: Draw, _: Lab) -> None:
        place = folder / path if path else shard(folder, draw)[0]
        target = (folder.parent if outside else folder / "tables") / f"moved-{place.name}"
        place.rename(target)
        place.symlink_to(target)

    return edit


def pipe(folder: Path, draw: Draw, _: Lab) -> None:
    path, _row = shard(folder, draw)
    path.unlink()
    os.mkfifo(path)


def picture(change: Callable[[Path], None]) -> Any:
    """Return a tamper of the sample picture of red noise."""
    return lambda folder, *_: change(folder / "samples_red.png")


def _set(**values: Any) -> Callable[[dict[str, Any], Draw], None]:
    return lambda row, _: row.update(values)


def _label(row: dict[str, Any], _: Draw) -> None:
    row["label"] = other_label(row)


def _label_and_flag(row: dict[str, Any], _: Draw) -> None:
    row.update(label=other_label(row), is_noisy=True)


def _label_and_truth(row: dict[str, Any], _: Draw) -> None:
    row.update(label=other_label(row), clean_label=other_label(row))


def _turn_flag(row: dict[str, Any], _: Draw) -> None:
    row["is_noisy"] = not row["is_noisy"]


def _clean(row: dict[str, Any], _: Draw) -> None:
    row.update(label=row["clean_label"], is_noisy=False)


def _unchanged(table: pa.Table) -> pa.Table:
    return table


def _path_column(table: pa.Table) -> pa.Table:
    images = table["image"].combine_chunks()
    paths = pa.array(["noisy.png"] * len(table))
    kind = list(table.schema.field("image").type)
    told = pa.StructArray.from_arrays([images.field("bytes"), paths], fields=kind)
    return table.set_column(0, table.schema.field(0), told)


def _narrow(table: pa.Table) -> pa.Table:
    return table.set_column(1, "label", table["label"].cast(pa.int32()))


def _cut(n: int) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(path.read_bytes()[:-n])


def _rename(path: Path) -> None:
    path.rename(path.with_name("0" * 16 + path.name[16:]))


def _flip_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


TAMPERS: dict[str, Tamper] = {
    # rows
    "a label is changed": Tamper(edit_row()(_label)),
    "a label is changed, and `is_noisy` with it": Tamper(edit_row()(_label_and_flag)),
    "a label is changed, and the true label with it": Tamper(edit_row()(_label_and_truth)),
    "`is_noisy` is flipped": Tamper(edit_row()(_turn_flag)),
    "a noisy row of blue noise is made clean": Tamper(edit_row(True, config=BLUE)(_clean)),
    "a label in validation is changed": Tamper(edit_row(split="validation")(_label_and_flag)),
    "a label is set to a value that is not in the class list": Tamper(edit_row()(_set(label=-1))),
    "a label is set to null": Tamper(edit_row()(_set(label=None))),
    "a web image gets an invented true label": Tamper(edit_row(True)(_set(clean_label=1))),
    "a different origin": Tamper(edit_row()(_set(origin="web"))),
    "a different image id": Tamper(edit_row()(_set(image_id="train/ant/99.png"))),
    "`replaces` is deleted": Tamper(edit_row(True)(_set(replaces=None))),
    "the labels of two rows are swapped": Tamper(edit_rows(exchange("label"))),
    "a row is deleted": Tamper(edit_rows(lambda rows, i: rows[:i] + rows[i + 1 :])),
    "a row is duplicated": Tamper(edit_rows(lambda rows, i: [*rows, rows[i]])),
    "rows are sorted by label": Tamper(
        edit_rows(lambda rows, _: sorted(rows, key=lambda r: (r["label"], r["image_id"])))
    ),
    "a validation image is in train": Tamper(move_validation_row),
    # shards
    "a shard is missing": Tamper(on_shard(Path.unlink), is_recorded=False),
    "a shard is missing in the folder and on the card": Tamper(on_shard(Path.unlink)),
    "a shard without rows": Tamper(edit_rows(lambda *_: [])),
    "a shard is truncated": Tamper(on_shard(_cut(100)), is_recorded=False),
    "one bit of a shard is flipped": Tamper(on_shard(_flip_bit), is_recorded=False),
    "a shard is renamed": Tamper(on_shard(_rename)),
    "a shard is replaced by one of another segment": Tamper(
        lambda folder, draw, _: shutil.copy(
            shard(folder, draw, split="validation")[0], shard(folder, draw)[0]
        )
    ),
    "an additional column in a shard": Tamper(
        edit_table(lambda t: t.append_column("hint", t["is_noisy"]))
    ),
    "labels have a different type": Tamper(edit_table(_narrow)),
    "the images of a shard are stored with their paths": Tamper(edit_table(_path_column)),
    "the description of the columns is missing in a shard": Tamper(
        edit_table(pa.Table.replace_schema_metadata)
    ),
    "class names are swapped in the shards": Tamper(names_of_shards),
    "the image column is compressed": Tamper(edit_table(_unchanged, compression="zstd")),
    "the Parquet pages have no index": Tamper(edit_table(_unchanged, write_page_index=False)),
    # images
    "a pixel of a base image is changed": Tamper(image(one_pixel, False)),
    "a pixel of a web image is changed": Tamper(image(one_pixel, True), alone="nothing"),
    "a red patch in a web image, and another version of Pillow on the card": Tamper(
        with_other_pillow(red_patch, True), alone="nothing"
    ),
    "a web image is brighter by 7, and another version of Pillow on the card": Tamper(
        with_other_pillow(brighter, True), alone="nothing"
    ),
    "base images of two classes are swapped": Tamper(exchange_pictures(False)),
    "web images of two classes are swapped": Tamper(exchange_pictures(True), alone="nothing"),
    "a base image is replaced, and its sha256 in the tables": Tamper(
        with_its_digest, alone="nothing"
    ),
    "a validation image has the id of a web image": Tamper(image_from_validation),
    "text inside the file of a base image": Tamper(image(with_text, False)),
    "text inside the file of a web image": Tamper(image(with_text, True), alone="note"),
    "HTML after the end of a base image": Tamper(image(lambda data: data + b"<html>", False)),
    "a zip file after the end of a web image": Tamper(image(zipped, True), alone="note"),
    "an animated web image": Tamper(image(animated, True), alone="note"),
    "a transparent web image": Tamper(image(transparent, True), alone="note"),
    "EXIF in a web image": Tamper(
        image(lambda data: png(pixels(data), exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"), True),
        alone="note",
    ),
    "a colour profile in a web image": Tamper(
        image(lambda data: png(pixels(data), icc_profile=b"x" * 200), True), alone="note"
    ),
    "a web image as JPEG with a comment": Tamper(image(jpeg_comment, True), alone="note"),
    "a web image as WebP": Tamper(image(lossless("WEBP"), True), alone="note"),
    "a web image as TIFF": Tamper(image(lossless("TIFF"), True), alone="note"),
    "a web image as BMP": Tamper(image(lossless("BMP"), True), alone="note"),
    "a base image is re-encoded as JPEG": Tamper(
        image(lambda data: encode(Image.fromarray(pixels(data)), "JPEG"), False)
    ),
    "the last 20 bytes of an image are missing": Tamper(image(lambda data: data[:-20], False)),
    "the second half of an image file is missing": Tamper(
        image(lambda data: data[: len(data) // 2], True)
    ),
    "an image has no bytes": Tamper(image(lambda _: b"", True)),
    "an image is null": Tamper(image(lambda _: None, True)),
    "an image is a damaged AVIF file": Tamper(image(broken_avif, True)),
    # tables
    "class names are swapped, in tables and shards": Tamper(
        renamed((CLASSES[1], CLASSES[0], *CLASSES[2:])), alone="nothing"
    ),
    "a class is renamed, in tables and shards": Tamper(
        renamed((*CLASSES[:3], "wolf")), alone="nothing", with_images="note"
    ),
    "two labels are swapped in the tables, and everything is rebuilt": Tamper(
        forged("base", exchange_labels), alone="nothing", is_recorded=False
    ),
    "train and validation are swapped in the tables, and everything is rebuilt": Tamper(
        forged("base", exchange_splits), alone="nothing", is_recorded=False
    ),
    "images are left out of the tables, and everything is rebuilt": Tamper(
        forged("base", lambda rows: rows[1:]),
        alone="nothing",
        with_images="note",
        is_recorded=False,
    ),
    "votes are flipped, and everything is rebuilt": Tamper(
        forged("votes", turn_votes), "nothing", "nothing", is_recorded=False
    ),
    "candidates are left out, and everything is rebuilt": Tamper(
        forged("web", without_last, "votes"),
        "nothing",
        "nothing",
        is_recorded=False,
    ),
    "votes are flipped, but nothing is rebuilt": Tamper(turn_used_votes),
    "an additional vote": Tamper(
        table("votes", lambda rows: [*rows, {**rows[0], "annotator": "3"}]), "nothing", "nothing"
    ),
    "URIs of candidates are changed": Tamper(table("web", other_uris), "nothing", "nothing"),
    "labels are swapped in the tables, but nothing is rebuilt": Tamper(
        table("base", exchange_labels)
    ),
    "a table is changed, but not its digest": Tamper(table("web", other_uris), is_recorded=False),
    "a table is missing": Tamper(
        lambda folder, *_: (folder / "tables/votes.parquet").unlink(), is_recorded=False
    ),
    "a table is damaged": Tamper(
        lambda folder, *_: _cut(50)(folder / "tables/base.parquet"), is_recorded=False
    ),
    "an unknown source in the metadata of the tables": Tamper(other_source, alone="nothing"),
    "a CSV file replaces a table": Tamper(
        lambda folder, *_: (folder / "tables/web.parquet").rename(folder / "tables/web.csv"),
        is_recorded=False,
    ),
    # claims of the card, each in the block and in the text
    "a different share of kept labels on the card": Tamper(
        claim(kept=(1.0, 1.0)), is_recorded=False
    ),
    "a different expected share of kept labels on the card": Tamper(
        claim(expected_kept=(1.0, 1.0)), is_recorded=False
    ),
    "a different share of changed rows on the card": Tamper(claim(changed=0.1), is_recorded=False),
    "a different noise rate on the card": Tamper(claim(rate=0.0), is_recorded=False),
    "a different expected noise rate on the card": Tamper(claim(expected=0.0), is_recorded=False),
    "a different number of rows on the card": Tamper(
        claim(rows={"train": 1, "validation": 8}), is_recorded=False
    ),
    "a different level on the card": Tamper(claim(level=20), is_recorded=False),
    "a different digest of a plan on the card": Tamper(claim(digest="0" * 64), is_recorded=False),
    "a different seed on the card": Tamper(claim_of_recipe(seed=1), is_recorded=False),
    "a different kind of noise on the card": Tamper(
        claim_of_recipe(noise="symmetric"), is_recorded=False
    ),
    "an unknown kind of noise on the card": Tamper(
        text("noise: blue\n", "noise: purple\n"), is_recorded=False
    ),
    "a different dataset on the card": Tamper(claim_of_build(dataset="flowers"), is_recorded=False),
    "a different name of the dataset, everywhere": Tamper(
        rename_everywhere, "nothing", "nothing", is_recorded=False
    ),
    "a different layout on the card": Tamper(claim_of_build(layout="flat"), is_recorded=False),
    "a different image size on the card": Tamper(text("size: null", "size: 32"), is_recorded=False),
    "a different digest of a table on the card": Tamper(
        claim_of_build(tables={"classes": "0" * 64}), is_recorded=False
    ),
    "the sha256 of the shards are missing on the card": Tamper(
        claim_of_build(shards={}), is_recorded=False
    ),
    "train and validation are swapped on the card": Tamper(
        segments(exchange_splits_of_card), is_recorded=False
    ),
    "the card lists a segment twice": Tamper(
        segments(lambda parts: parts["train"].append(parts["train"][0])), is_recorded=False
    ),
    "the card lists a segment that does not exist": Tamper(
        segments(lambda parts: parts["train"].append("f" * 16)), is_recorded=False
    ),
    "the card leaves out a segment": Tamper(
        segments(lambda parts: parts["train"].pop()), is_recorded=False
    ),
    "a config is removed with its files": Tamper(
        without_config, "nothing", "nothing", is_recorded=False
    ),
    "all configs are removed from the card": Tamper(
        lambda folder, *_: (folder / "README.md").write_text(
            metadata.front_matter(replace(metadata.read_card(folder), configs={}), {})
        ),
        is_recorded=False,
    ),
    "the names of two configs are swapped on the card": Tamper(
        lambda folder, *_: [
            replace_text(folder, *pair)
            for pair in (("red_20", "red_xx"), ("red_40", "red_20"), ("red_xx", "red_40"))
        ],
        is_recorded=False,
    ),
    "a different licence at the top of the card": Tamper(
        text(f"license: {LICENCE}", "license: mit"), is_recorded=False
    ),
    "a different licence everywhere, for your own dataset": Tamper(
        claim_of_build(about=About(licence="mit")), "nothing", "nothing", is_recorded=False
    ),
    "a different number of rows at the top of the card": Tamper(
        text("    num_examples: ", "    num_examples: 1", 1), is_recorded=False
    ),
    "a different size category at the top of the card": Tamper(
        text("- n<1K", "- 1K<n<10K"), is_recorded=False
    ),
    "a different licence in `croissant.json`": Tamper(
        croissant("CC-BY-4.0", "MIT"), is_recorded=False
    ),
    "a different sha256 of a table in `croissant.json`": Tamper(
        croissant('"sha256": "', '"sha256": "0', 1), is_recorded=False
    ),
    "a different meaning of a column in `croissant.json`": Tamper(
        croissant("The label that a learner gets.", "The true label."), is_recorded=False
    ),
    "`croissant.json` is missing": Tamper(
        lambda folder, *_: (folder / CROISSANT).unlink(), is_recorded=False
    ),
    "a different version of pyarrow on the card": Tamper(
        versions(pyarrow="18.0.0"), is_recorded=False
    ),
    "a different version of Pillow on the card": Tamper(
        versions(pillow="11.0.0"), "nothing", "nothing", is_recorded=False
    ),
    "a different version of cnlw_tools on the card": Tamper(
        versions(cnlw_tools="0.0.9"), "nothing", "nothing", is_recorded=False
    ),
    "the version of cnlw_tools is missing on the card": Tamper(
        versions(pillow="new"), is_recorded=False
    ),
    "a different number in the text of the card": Tamper(
        text("| 40.000\N{NO-BREAK SPACE}%, ", "| 0.000 %, ", 1), is_recorded=False
    ),
    "an additional row in a table of the card": Tamper(
        text('\n\n"Labels kept"', '\n| `blue_40` | 0 % |\n\n"Labels kept"'), is_recorded=False
    ),
    "a different recipe in the text of the card": Tamper(
        text("min_votes = 1", "min_votes = 5"), is_recorded=False
    ),
    "different classes in the text of the card": Tamper(
        text("0 ant, 1 bee", "0 bee, 1 ant"), is_recorded=False
    ),
    "the whole text of the card is replaced": Tamper(whole_text, is_recorded=False),
    "an additional paragraph on the card": Tamper(
        text("## Columns\n", "All labels are right.\n\n## Columns\n"),
        "note",
        "note",
        is_recorded=False,
    ),
    # what a reader of the block does
    "an additional key `columns` of a config in the YAML block": Tamper(
        beside_config("columns: [image, label]"), is_recorded=False
    ),
    "an additional key `drop_labels` of a config in the YAML block": Tamper(
        beside_config("drop_labels: true"), is_recorded=False
    ),
    "the card lists a config twice, the wrong one first": Tamper(
        text("\nconfigs:\n", f"\nconfigs:\n- {{config_name: {BLUE}, data_files: x.csv}}\n"),
        is_recorded=False,
    ),
    "a key of the YAML block occurs twice": Tamper(
        text(f"license: {LICENCE}\n", f"license: {LICENCE}\nlicense: mit\n"), is_recorded=False
    ),
    "a list of columns (`features`) in the YAML block": Tamper(
        text("\nconfigs:\n", "\ndataset_info: {features: []}\nconfigs:\n"), is_recorded=False
    ),
    "an additional config in the YAML block, which the build does not have": Tamper(
        text("\nconfigs:\n", "\nconfigs:\n- {config_name: more, data_files: x.csv}\n"),
        is_recorded=False,
    ),
    "a config lists different files on the card": Tamper(
        lambda folder, *_: replace_text(
            folder,
            f"data/{metadata.read_card(folder).configs[BLUE].segments['validation'][0]}-*",
            "data/*",
        ),
        is_recorded=False,
    ),
    "an additional key that the Hub defines, in the YAML block": Tamper(
        text("\nconfigs:\n", "\nlanguage: en\nconfigs:\n"), "nothing", "nothing", is_recorded=False
    ),
    # files
    "a CSV file in data/": Tamper(add("data/train.csv"), is_recorded=False),
    "a JSON file in data/": Tamper(add("data/train.json"), is_recorded=False),
    "a zip file in data/": Tamper(add("data/train.zip"), is_recorded=False),
    "a script in data/": Tamper(add("data/data.py"), is_recorded=False),
    "a script beside the card": Tamper(add("build.py"), is_recorded=False),
    "a folder in data/": Tamper(add("data/more/x.parquet"), is_recorded=False),
    "a Parquet file that belongs to no segment": Tamper(
        copied_shard("extra.parquet"), is_recorded=False
    ),
    "a shard that the card does not list": Tamper(
        copied_shard("ffffffffffffffff-00000-of-00001.parquet"), is_recorded=False
    ),
    "an additional shard of a segment": Tamper(copied_shard("{segment}-x.parquet")),
    "an additional file in tables/": Tamper(add("tables/more.parquet"), is_recorded=False),
    "an additional file `.huggingface.yaml`": Tamper(add(".huggingface.yaml"), is_recorded=False),
    "an additional file `dataset_infos.json`": Tamper(
        add("dataset_infos.json", b"{}"), is_recorded=False
    ),
    "a shard is a link to a file outside the folder": Tamper(link("", True), is_recorded=False),
    "a shard is a link inside the folder": Tamper(link("", False), is_recorded=False),
    "a table is a link": Tamper(link("tables/votes.parquet", True), is_recorded=False),
    "the card is a link": Tamper(link("README.md", True), is_recorded=False),
    "`data/` is a link": Tamper(link("data", True), is_recorded=False),
    "a shard is a pipe": Tamper(pipe, is_recorded=False),
    "your own file beside the card": Tamper(add("notes.txt"), "note", "note", is_recorded=False),
    "a temporary file of a killed build": Tamper(
        add("data/.aside-1-x.parquet"), "note", "note", is_recorded=False
    ),
    "the record of an unfinished `cnlw build --shard`": Tamper(
        add("shard-1-of-2.json"), "note", "note", is_recorded=False
    ),
    "a file of the operating system in data/": Tamper(
        add("data/.DS_Store"), "note", "note", is_recorded=False
    ),
    "a different sample picture": Tamper(
        picture(lambda path: path.write_bytes(path.with_name("samples_blue.png").read_bytes())),
        is_recorded=False,
    ),
    "the sample picture is missing": Tamper(picture(Path.unlink), is_recorded=False),
    "text inside the file of a sample picture": Tamper(
        picture(lambda path: path.write_bytes(with_text(path.read_bytes()))), is_recorded=False
    ),
}


def table_lines() -> Iterator[str]:
    """Yield the lines of the table in docs/validate.md."""
    words = {"error": "error", "note": "note", "nothing": "not seen"}
    yield "| what was changed | from the build alone | with `--data-dir` and `--store` |"
    yield "|---|---|---|"
    for name, tamper_ in TAMPERS.items():
        yield f"| {name} | {words[tamper_.alone]} | {words[tamper_.with_images]} |"
