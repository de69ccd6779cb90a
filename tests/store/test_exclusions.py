"""Images that must not become data: placeholders, and copies of validation images."""

import numpy as np
import pyarrow as pa
import pytest

from cnlw_tools.store import placeholders
from cnlw_tools.store.exclusions import find_exclusions, find_twins
from cnlw_tools.store.store import Row, Store, open_ledger


def image_row(image_id, digest, fingerprint):
    """Return the row of an image of which only digest and fingerprint matter."""
    return Row(image_id, "x", "ok", None, 1, 0.0, sha256=digest, fingerprint=fingerprint.tobytes())


def test_exclusions(tmp_path):
    """Shared files, known placeholders and near duplicates of validation images are excluded."""
    fingerprints = np.random.default_rng(0).integers(0, 256, (30, 16), np.uint8)
    package_list = placeholders.read_list(placeholders.PACKAGE_LIST)
    digests = ["shared"] * 10 + [f"{i:064x}" for i in range(10, 30)]
    digests[17] = next(iter(package_list))
    with open_ledger(tmp_path / "s") as ledger:
        for i in range(30):
            ledger.write_row(image_row(f"i{i}", digests[i], fingerprints[i]))
        ledger.write_row(Row("bad", "x", "http_404", None, 1, 0.0))
    near, far = fingerprints[20].copy(), fingerprints[21].copy()
    near[3] ^= 0b101
    far[:4] ^= 1

    (tmp_path / "mine.csv").write_text(f"what,sha256\nGone,{15:064X}\n,{16:064x}\n")
    placeholders.add_placeholders(tmp_path / "mine.csv", tmp_path / "s")

    with Store(tmp_path / "s") as store:
        reasons = find_exclusions(store, np.stack([near, far, fingerprints[22]]))
        expected = {f"i{i}": "placeholder: one file for 10 ids" for i in range(10)}
        expected |= {
            "i15": "placeholder: Gone",
            "i16": "placeholder: on a list of known ones",
            "i17": f"placeholder: {package_list[digests[17]]}",
            "i20": "near duplicate of a validation image",
            "i22": "near duplicate of a validation image",
        }
        assert expected == reasons
        assert "Imgur" in reasons["i17"]
        assert 13 == placeholders.count_placeholders(store, 10)
        assert {"i15", "i16", "i17"} == find_exclusions(store, min_ids=11).keys()


def test_equal_fingerprints(tmp_path):
    """All images with the fingerprint of a validation image are excluded, not only the first."""
    fingerprint = np.arange(16, dtype=np.uint8)
    with open_ledger(tmp_path / "s") as ledger:
        for i in range(4):
            ledger.write_row(image_row(f"i{i}", f"{i}", fingerprint))
        references = np.stack([fingerprint, fingerprint])
        assert 4 == len(find_exclusions(ledger, validation_fingerprints=references))
        assert {} == find_exclusions(ledger, validation_fingerprints=references[:0])


def test_lists_of_placeholders(tmp_path):
    """A user's lists add up; an error names a line without a sha256."""
    (tmp_path / "a.csv").write_text(f"sha256,what\n{1:064x},one\n")
    (tmp_path / "b.csv").write_text(f"sha256\n{2:064x}\n")
    (tmp_path / "bad.csv").write_text("sha256,what\nd41d8cd98f00b204e9800998ecf8427e,md5\n")
    for name in ("a.csv", "b.csv"):
        placeholders.add_placeholders(tmp_path / name, tmp_path)

    package_list = placeholders.read_list(placeholders.PACKAGE_LIST)
    expected = package_list | {f"{1:064x}": "one", f"{2:064x}": ""}
    assert expected == placeholders.read_known_placeholders(tmp_path)
    with pytest.raises(ValueError, match=r"bad\.csv: line 2 has no sha256"):
        placeholders.add_placeholders(tmp_path / "bad.csv", tmp_path)


def make_votes(answers: dict[str, list[bool | None]]) -> pa.Table:
    """Return the votes on some candidates."""
    rows = [(name, answer) for name, given in answers.items() for answer in given]
    names, correct = zip(*rows, strict=True)
    return pa.table({"image_id": names, "correct": pa.array(correct, pa.bool_())})


def test_of_twins_that_are_wrong_the_surest_stays():
    """An unsure vote is none, and a candidate without a vote of no is no twin."""
    files = {"a": "x", "b": "x", "c": "x", "d": "x", "e": "y", "f": "z", "g": "z"}
    answers = {
        "a": [False, True],
        "b": [False, False],
        "c": [True, True],
        "d": [None],
        "e": [False],
        "f": [False],
        "g": [False],
    }

    assert find_twins(make_votes(answers), files) == {"a", "g"}
    assert find_twins(make_votes({"a": [False]}), files) == set()
    assert find_twins(make_votes({"a": [False]}), {}) == set()
