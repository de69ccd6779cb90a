"""Images of any mode are the same 8-bit RGB pixels however a build is read."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from datasets import load_dataset
from PIL import Image
from torch.utils.data import DataLoader

from cnlw_tools.cli import main
from cnlw_tools.images.pixels import decode
from cnlw_tools.trainer import data
from cnlw_tools.trainer.data import Resizing

SIDE = 32


def draw(seed):
    """Return smooth colours."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def write_pictures(folder):
    """Write images of every mode that files have, of two classes."""
    folder.mkdir(parents=True)
    image = draw(len(folder.name))
    alpha = image.getchannel("R").point(lambda value: 255 * (value > 99))
    clear = image.copy()
    clear.putalpha(alpha)
    grey = np.asarray(image.convert("L"))
    for mode in ("RGB", "L", "P", "1"):
        image.convert(mode).save(folder / f"{mode}.png")
    clear.save(folder / "RGBA.png")
    clear.save(folder / "RGBA.webp")
    clear.convert("LA").save(folder / "LA.png")
    clear.save(folder / "clear.gif")
    image.save(folder / "RGB.jpg")
    image.convert("L").save(folder / "L.jpg")
    image.convert("CMYK").save(folder / "CMYK.jpg")
    image.save(folder / "RGB.tif")
    image.save(folder / "turned.jpg", exif=orientation(6))
    image.save(folder / "turned.png", exif=orientation(5))
    Image.fromarray(grey.astype(np.uint16) * 257).save(folder / "sixteen.png")
    Image.fromarray(grey.astype(np.float32) / 255).save(folder / "float.tif")
    (folder / "sixteen.pgm").write_bytes(b"P5 32 32 65535\n" + (grey * np.uint16(257)).tobytes())


def orientation(number):
    exif = Image.Exif()
    exif[0x0112] = number
    return exif


@pytest.fixture
def folder(tmp_path):
    for split in ("train", "validation"):
        for class_name in ("cat", "mouse"):
            write_pictures(tmp_path / "images" / split / class_name)
    return tmp_path / "images"


def cnlw(*arguments):
    result = CliRunner().invoke(main, [*map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.usefixtures("reads_back_here")
@pytest.mark.parametrize("size", [(), ("--size", 20)])
def test_one_picture_for_all_readers(folder, tmp_path, size):
    """`load_dataset`, batches of torch and the trainer see what the files show; they stack."""
    root, out = tmp_path / "root", tmp_path / "out"
    cnlw("import", "folder", folder, "--as", "pets", "--root", root, "--workers", 1)
    source = ("--data-dir", folder, "--root", root)
    choices = ("--dataset", "pets", "--noise", "blue", "--level", 40, *size)
    cnlw("build", *choices, *source, "--out", out, "--workers", 1)
    rows = load_dataset(str(out), "blue_40", split="train", cache_dir=str(tmp_path / "cache"))
    torch_rows = rows.with_format("torch").select_columns(["image", "label"])
    batches = [batch["image"].numpy() for batch in DataLoader(torch_rows, batch_size=16)]
    split = data.load_splits(out, "blue_40", Resizing(), tmp_path / "arrays")["train"]
    trained = split.read_images(np.argsort(split.rows))

    for i, row in enumerate(rows):
        shown = np.asarray(row["image"])
        if not size:
            original = decode((folder / row["image_id"]).read_bytes())
            assert (np.asarray(original) == shown).all(), row["image_id"]
        assert (trained[i].transpose(1, 2, 0) == shown).all(), row["image_id"]
    assert np.concatenate(batches).tobytes() == trained.tobytes()
    report = json.loads(cnlw("validate", out, "--data-dir", folder, "--workers", 1, "--json"))
    assert report["ok"]
