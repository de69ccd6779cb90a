"""What should not be used of what was fetched."""

import numpy as np

from cnlw_tools.fetch import Store, unfit, writing
from cnlw_tools.fetch.store import Row


def test_placeholders_and_copies(tmp_path):
    """One file of many ids, a file that is known, and a fingerprint that validation has: all are named."""
    draw = np.random.default_rng(0).integers(0, 256, (30, 16), np.uint8)
    with writing(tmp_path / "s") as ledger:
        for i in range(30):
            digest = "gone" if i < 10 else f"sha{i}"
            ledger.put(Row(f"i{i}", "x", "ok", None, 1, 0.0, sha256=digest, fingerprint=draw[i].tobytes()))
        ledger.put(Row("bad", "x", "http_404", None, 1, 0.0))
    near, far = draw[20].copy(), draw[21].copy()
    near[3] ^= 0b101
    far[:4] ^= 1

    with Store(tmp_path / "s") as store:
        found = unfit(store, {"sha15"}, np.stack([near, far, draw[22]]))
        assert {"i20", "i22"} == {i for i, why in found.items() if why == "like a validation image"}
        assert {f"i{i}": "placeholder: one file of 10 ids" for i in range(10)}.items() <= found.items()
        assert ("placeholder: a known one", 13) == (found["i15"], len(found))
        assert {} == unfit(store, shared=11)


def test_equal_pictures(tmp_path):
    """All web images with the fingerprint of a validation image are found, not the first alone."""
    print_ = np.arange(16, dtype=np.uint8)
    with writing(tmp_path / "s") as ledger:
        for i in range(4):
            ledger.put(Row(f"i{i}", "x", "ok", None, 1, 0.0, sha256=f"{i}", fingerprint=print_.tobytes()))
        assert 4 == len(unfit(ledger, beside=np.stack([print_, print_])))
        assert {} == unfit(ledger, beside=np.empty((0, 16), np.uint8))
