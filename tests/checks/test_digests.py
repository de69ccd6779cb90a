"""sha256 as bytes: a table may hold any text in their place, and then equals no image."""

from hashlib import sha256

import pyarrow as pa

from cnlw_tools.checks.digests import (
    IMAGES,
    distinct_images,
    to_digests,
    to_hex,
)

CAT, DOG = (sha256(name.encode()) for name in ("cat", "dog"))


def test_a_sha256_in_hex_becomes_its_bytes():
    """And comes back as the same text; null stays null, over chunks and slices."""
    texts = pa.chunked_array([["x", CAT.hexdigest(), None], [], [DOG.hexdigest()]], pa.string())

    digests = to_digests(texts[1:])

    assert [CAT.digest(), None, DOG.digest()] == digests.to_pylist()
    assert [CAT.hexdigest(), None, DOG.hexdigest()] == to_hex(digests)
    assert [] == to_digests(texts[:0]).to_pylist()


def test_another_text_becomes_the_sha256_of_itself():
    """Capital letters, short texts, and 64 bytes that are no digits."""
    texts = [CAT.hexdigest().upper(), "", "abc", "é" * 32]

    digests = to_digests(pa.chunked_array([texts], pa.string()))

    assert [sha256(text.encode()).digest() for text in texts] == digests.to_pylist()


def test_an_image_that_several_files_have_is_kept_once():
    """With what was known of it first."""
    rows = [(CAT.digest(), 1, 2, DOG.digest(), b"f" * 16)] * 2 + [
        (DOG.digest(), 3, 4, DOG.digest(), b"g" * 16)
    ]
    images = pa.table([list(column) for column in zip(*rows, strict=True)], schema=IMAGES)

    assert images.slice(1) == distinct_images(images)
