"""The page of a store: each address with its outcome, and a picture if it has one."""

from hashlib import sha256

import pytest

from cnlw_tools.browser.store_page import by_frequency, make_store_page
from cnlw_tools.store.pack import open_store, pack_store
from cnlw_tools.store.store import Row, Store, open_ledger
from tests.browser.scripts import read_column
from tests.browser.test_numbered_pictures import encode


@pytest.fixture
def folder(tmp_path):
    """Two images and two failures, of three hosts."""
    with open_ledger(tmp_path / "store") as ledger:
        for number, name in enumerate(("b", "d")):
            data = encode(number)
            ledger.write_image(name, "png", data)
            digest = sha256(data).hexdigest()
            details = {"sha256": digest, "size": 2500, "format": "png", "width": 4, "height": 3}
            uri = f"http://x.example/{name}"
            row = Row(name, uri, "ok", None, 1, 1e9 + number, uri, 200, source="uri", **details)
            ledger.write_row(row)
        moved = "http://z.example/"
        ledger.write_row(Row("a", "http://y.example/", "http_404", "HTTP 404", 2, 5.0, moved, 404))
        ledger.write_row(Row("c", None, "no_uri", "no address", 0, 6.0))
    return tmp_path / "store"


def test_a_store_shows_every_row(folder) -> None:
    """In the order of ids."""
    with Store(folder) as store:
        items, pictures = make_store_page(store)
        columns = {name: read_column(column.to_block()) for name, column in items.columns.items()}

        assert columns["id"] == ["a", "b", "c", "d"]
        assert columns["outcome"] == ["http_404", "ok", "no_uri", "ok"]
        assert columns["result"] == ["http_404", "4 × 3, 2 kB", "no_uri", "4 × 3, 2 kB"]
        assert columns["host"] == ["y.example", "x.example", "", "x.example"]
        assert columns["final"] == ["http://z.example/", "", "", ""]
        assert columns["status"] == ["404", "200", "", "200"]
        assert columns["pixels"] == [None, 12, None, 12]
        assert columns["age"] == [0, 2, 1, 3]
        assert columns["time"][0] == "1970-01-01 00:00 UTC"
        assert items.has_picture.tolist() == [False, True, False, True]
        assert pictures.read(3).data == encode(1)


def test_a_pack_is_shown_like_its_store(folder, tmp_path) -> None:
    """With the same pictures."""
    with Store(folder) as store:
        pack_store(store, tmp_path / "pack")
    with open_store(tmp_path / "pack") as pack:
        items, pictures = make_store_page(pack)
        assert items.n_items == 4
        assert pictures.read(1).data == encode(0)


def test_the_most_frequent_text_comes_first() -> None:
    """Of two that are as frequent, the smaller one."""
    assert by_frequency(["c", "a", "b", "b"]).values == ["b", "a", "c"]
