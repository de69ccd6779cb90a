"""Groups of pictures that look alike."""

from io import BytesIO

import numpy as np
import pyarrow as pa
from PIL import Image

from cnlw_tools.browser.duplicates import duplicate_columns, find_groups
from cnlw_tools.browser.numbered_pictures import PictureFile
from tests.browser.scripts import read_column


class Noise:
    """Pictures of noise; those with the same number look alike, and the second one is a JPEG."""

    def __init__(self, numbers: list[int]) -> None:
        self.numbers = numbers

    def read(self, index: int) -> PictureFile:
        pixels = np.random.default_rng(self.numbers[index]).integers(0, 256, (9, 9, 3), np.uint8)
        image = Image.fromarray(np.kron(pixels, np.ones((8, 8, 1), np.uint8)))
        buffer = BytesIO()
        image.save(buffer, "JPEG" if index % 2 else "PNG", quality=95)
        return PictureFile(buffer.getvalue(), "jpeg" if index % 2 else "png")


def test_pictures_that_look_alike_are_one_group() -> None:
    """Others have no group; nor has an image that is there twice under one id."""
    ids = pa.chunked_array([["a", "b", "c"], ["d", "e", "e", "f"]])
    seen = []
    groups = find_groups(ids, Noise([7, 7, 8, 7, 9, 9, 8]), lambda *numbers: seen.append(numbers))
    columns = {
        name: read_column(column.to_block())
        for name, column in duplicate_columns(ids, groups).items()
    }

    alike = [{"id": "a"}, {"id": "b"}, {"id": "d"}]
    pair = [{"id": "c"}, {"id": "f"}]
    assert columns["twins"] == [alike, alike, pair, alike, [], [], pair]
    state = "with a near duplicate"
    assert columns["duplicates"] == [state] * 4 + ["none"] * 2 + [state]
    assert columns["group"][4:6] == [None, None]
    assert seen[-1] == ("pictures", 6, 6)
