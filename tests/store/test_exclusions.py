"""What should not be used of what was fetched."""

import numpy as np
import pytest

from cnlw_tools.store import placeholders
from cnlw_tools.store.exclusions import find_exclusions
from cnlw_tools.store.store import Row, Store, open_ledger


def test_placeholders_and_copies(tmp_path):
    """One file of many ids, a file that is known, and a fingerprint that validation has: all are named."""
    draw = np.random.default_rng(0).integers(0, 256, (30, 16), np.uint8)
    ours = placeholders.read(placeholders.OURS)
    with open_ledger(tmp_path / "s") as ledger:
        for i in range(30):
            digest = "gone" if i < 10 else f"{i:064x}" if i != 17 else next(iter(ours))
            ledger.write_row(
                Row(f"i{i}", "x", "ok", None, 1, 0.0, sha256=digest, fingerprint=draw[i].tobytes())
            )
        ledger.write_row(Row("bad", "x", "http_404", None, 1, 0.0))
    near, far = draw[20].copy(), draw[21].copy()
    near[3] ^= 0b101
    far[:4] ^= 1

    (tmp_path / "mine.csv").write_text(f"what,sha256\nGone,{15:064X}\n,{16:064x}\n")
    placeholders.note(tmp_path / "mine.csv", tmp_path / "s")

    with Store(tmp_path / "s") as store:
        found = find_exclusions(store, np.stack([near, far, draw[22]]))
        assert {"i20", "i22"} == {i for i, why in found.items() if why == "like a validation image"}
        assert {
            f"i{i}": "placeholder: one file of 10 ids" for i in range(10)
        }.items() <= found.items()
        assert ["placeholder: Gone", "placeholder: a known one"] == [found["i15"], found["i16"]]
        assert found["i17"].startswith("placeholder: Imgur")  # of the list in the package
        assert 15 == len(found)
        assert 13 == placeholders.count(store, 10)
        assert {"i15", "i16", "i17"} == find_exclusions(store, min_ids=11).keys()


def test_equal_pictures(tmp_path):
    """All web images with the fingerprint of a validation image are found, not the first alone."""
    print_ = np.arange(16, dtype=np.uint8)
    with open_ledger(tmp_path / "s") as ledger:
        for i in range(4):
            ledger.write_row(
                Row(f"i{i}", "x", "ok", None, 1, 0.0, sha256=f"{i}", fingerprint=print_.tobytes())
            )
        assert 4 == len(find_exclusions(ledger, validation_fingerprints=np.stack([print_, print_])))
        assert {} == find_exclusions(ledger, validation_fingerprints=np.empty((0, 16), np.uint8))


def test_lists_of_placeholders(tmp_path):
    """A user's lists add up; a line without a sha256 is named."""
    (tmp_path / "a.csv").write_text(f"sha256,what\n{1:064x},one\n")
    (tmp_path / "b.csv").write_text(f"sha256\n{2:064x}\n")
    (tmp_path / "bad.csv").write_text("sha256,what\nd41d8cd98f00b204e9800998ecf8427e,md5\n")
    for name in ("a.csv", "b.csv"):
        placeholders.note(tmp_path / name, tmp_path)

    ours = placeholders.read(placeholders.OURS)
    assert ours | {f"{1:064x}": "one", f"{2:064x}": ""} == placeholders.known(tmp_path)
    with pytest.raises(ValueError, match=r"bad\.csv: line 2: no sha256"):
        placeholders.note(tmp_path / "bad.csv", tmp_path)
