"""The review of votes: verdicts, ties, disagreement, and annotators, by the obvious count."""

from collections import Counter, defaultdict
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cnlw_tools.browser.items import encode_items
from cnlw_tools.browser.review import make_review, open_candidates
from cnlw_tools.dataset.dataset import Dataset
from cnlw_tools.dataset.tables import MANIFEST, VOTES
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import parse_recipe
from cnlw_tools.store.store import Row, open_ledger
from tests.browser.scripts import read_column
from tests.browser.test_numbered_pictures import encode

RECIPE = parse_recipe({"dataset": "flowers", "noise": "red"}, "the test")
ANSWERS = {"yes": True, "no": False, "unsure": None}


def make_dataset(
    candidates: list[tuple[str, int]], votes: list[tuple[int, str | None, str]]
) -> Dataset:
    """Return a dataset; a vote is the number of a candidate, an annotator, and an answer."""
    ids, labels = [list(column) for column in zip(*candidates, strict=True)] or [[], []]
    n = len(candidates)
    columns = [ids, labels, ["web"] * n, [f"http://h{i % 2}.x/{i}" for i in range(n)], [None] * n]
    web = pa.table([*map(pa.array, columns[:2]), *columns[2:]], MANIFEST.names).cast(MANIFEST)
    web = web.append_column("rank", pa.array(range(n)))
    rows = [
        {
            "image_id": ids[number],
            "label": labels[number],
            "annotator": annotator,
            "correct": ANSWERS[answer],
            "at": None,
        }
        for number, annotator, answer in votes
    ]
    return Dataset("flowers", ("rose", "tulip"), None, web, pa.Table.from_pylist(rows, VOTES))


def write_store(folder: Path, ids: list[str]) -> Path:
    with open_ledger(folder) as ledger:
        for number, image_id in enumerate(ids):
            data = encode(number)
            ledger.write_image(image_id, "png", data)
            digest = sha256(data).hexdigest()
            details = {"sha256": digest, "size": len(data), "format": "png", "source": "uri"}
            row = Row(image_id, f"http://x/{number}", "ok", None, 1, 1e9, **details)
            ledger.write_row(row)
    return folder


def review(dataset: Dataset, store: Path) -> tuple[dict[str, list], object]:
    items, pictures = make_review(dataset, RECIPE, Inputs(store, store=store))
    columns = {name: read_column(column.to_block()) for name, column in items.columns.items()}
    return columns, (items, pictures)


CANDIDATES = [("a", 0), ("b", 0), ("a", 1), ("c", 1), ("d", 1), ("e", 0)]
VOTES_CAST = [
    (1, "2", "yes"),
    (0, "1", "yes"),
    (2, "1", "no"),
    (0, "2", "yes"),
    (2, "2", "no"),
    (1, "1", "no"),
    (3, "3", "unsure"),
    (4, "1", "no"),
    (4, "2", "yes"),
    (4, "3", "no"),
]


def test_each_candidate_has_its_verdict_and_its_votes(tmp_path) -> None:
    """An image under two classes is two candidates with votes of their own."""
    columns, _ = review(make_dataset(CANDIDATES, VOTES_CAST), write_store(tmp_path / "s", ["a"]))

    assert columns["id"] == ["a", "b", "a", "c", "d", "e"]
    assert columns["given"] == ["rose", "rose", "tulip", "tulip", "tulip", "rose"]
    no = "does not show it"
    assert columns["verdict"] == ["shows it", "undecided", no, "undecided", no, "no votes"]
    assert columns["spread"] == [
        "all agree",
        "tie",
        "all agree",
        "only unsure",
        "some disagree",
        "no votes",
    ]
    third = pytest.approx(1 / 3)
    assert columns["disagreement"] == [0, 0.5, 0, None, third, None]
    assert columns["tally"][3:] == ["0 yes, 0 no, 1 unsure", "1 yes, 2 no", "no votes"]
    assert columns["web rank"] == [str(number) for number in range(6)]
    assert columns["web host"] == ["h0.x", "h1.x"] * 3
    assert columns["votes"][4] == [
        {"annotator": "1", "answer": "no", "stance": "with the verdict"},
        {"annotator": "2", "answer": "yes", "stance": "against the verdict"},
        {"annotator": "3", "answer": "no", "stance": "with the verdict"},
    ]
    assert columns["votes"][3][0]["stance"] == "without a verdict"
    assert columns["votes"][5] == []


def test_random_votes_are_counted_as_one_would_by_hand(tmp_path) -> None:
    """Whoever votes what, in any order, and also without a name."""
    rng = np.random.default_rng(0)
    candidates = [(f"i{number % 15}", number // 15) for number in range(30)]
    votes = []
    for number in rng.permutation(30)[:25]:
        for annotator in rng.permutation(6)[: rng.integers(1, 6)]:
            name = str(annotator) if annotator else None
            votes.append((int(number), name, str(rng.choice(["yes", "no", "unsure"]))))
    rng.shuffle(votes)
    votes = [(int(number), name, str(answer)) for number, name, answer in votes]
    columns, _ = review(make_dataset(candidates, votes), write_store(tmp_path / "s", ["i0"]))

    by_candidate = defaultdict(list)
    for number, annotator, answer in votes:
        by_candidate[number].append((annotator or "no name", answer))
    for number in range(30):
        counts = Counter(answer for _, answer in by_candidate[number])
        yes, no = counts["yes"], counts["no"]
        verdict = "shows it" if yes > no else "does not show it" if no > yes else "undecided"
        assert columns["verdict"][number] == (verdict if by_candidate[number] else "no votes")
        entries = [(vote["annotator"], vote["answer"]) for vote in columns["votes"][number]]
        assert entries == by_candidate[number]
        share = min(yes, no) / (yes + no) if yes + no else None
        assert columns["disagreement"][number] == pytest.approx(share)


def test_pictures_are_those_of_the_store(tmp_path) -> None:
    """Only a candidate that was fetched has one."""
    dataset = make_dataset(CANDIDATES, VOTES_CAST)
    store = write_store(tmp_path / "s", ["d", "a"])
    _, (items, pictures) = review(dataset, store)

    assert items.has_picture.tolist() == [True, False, True, False, True, False]
    assert pictures.read(0).data == pictures.read(2).data == encode(1)
    assert pictures.read(4).data == encode(0)
    with pytest.raises(LookupError):
        pictures.read(1)


def test_an_annotator_who_stands_out_is_offered_first(tmp_path) -> None:
    """With a mark; all others follow in the order of their numbers."""
    candidates = [(f"i{number:03d}", 0) for number in range(120)]
    votes = []
    for number in range(120):
        truth = "yes" if number % 2 else "no"
        other = "no" if number % 2 else "yes"
        votes += [(number, str(annotator), truth) for annotator in range(8, 13)]
        votes.append((number, "7", other if number % 3 else truth))
    items, _ = make_review(
        make_dataset(candidates, votes),
        RECIPE,
        Inputs(tmp_path, store=write_store(tmp_path / "s", ["x"])),
    )
    (annotators,) = [choice for choice in items.filters if choice.name == "annotator"]

    names = [name for name, _ in annotators.texts]
    assert names == ["7", "8", "9", "10", "11", "12"]
    assert [text.endswith("stands out") for _, text in annotators.texts] == [True] + [False] * 5


def test_no_page_has_an_address_of_a_person(tmp_path) -> None:
    """A number takes its place; all votes of a person stay together."""
    votes = [
        (0, "ann@x.org", "yes"),
        (1, "7", "no"),
        (2, "bob@x.org", "no"),
        (3, "ann@x.org", "no"),
    ]
    dataset = make_dataset(CANDIDATES, votes)
    columns, (items, _) = review(dataset, write_store(tmp_path / "s", ["a"]))

    names = [[vote["annotator"] for vote in voters] for voters in columns["votes"]]
    assert names == [["person 1"], ["7"], ["person 2"], ["person 1"], [], []]
    assert "@" not in encode_items(items)


def test_without_candidates_or_votes(tmp_path) -> None:
    """No candidate is an error; no vote is a page without annotators."""
    store = write_store(tmp_path / "s", ["a"])
    empty = Dataset("flowers", ("rose",), None, MANIFEST.empty_table(), VOTES.empty_table())
    with pytest.raises(LookupError, match="has no candidates"):
        make_review(empty, RECIPE, Inputs(tmp_path, store=store))
    columns, (items, _) = review(make_dataset(CANDIDATES, []), store)

    assert columns["verdict"] == ["no votes"] * 6
    assert "annotator" not in [choice.name for choice in items.filters]


def test_without_a_store_the_source_reads_the_pictures(tiny, tmp_path) -> None:
    """As of the embedded dataset, which draws its candidates."""
    from cnlw_tools.dataset.dataset import read_dataset

    root = tiny(tmp_path / "root")
    dataset = read_dataset("shapes", root)
    pictures, has_picture = open_candidates(dataset, Inputs(root))

    assert has_picture is None
    assert pictures.read(3).format == "png"


def test_without_pictures_the_error_says_where_they_come_from(tmp_path) -> None:
    """Those of a crawl come from a fetch, and not from the folder of photographs."""
    with pytest.raises(FileNotFoundError, match=r"cnlw fetch .*flowers`, or .* --store"):
        make_review(make_dataset(CANDIDATES, []), RECIPE, Inputs(tmp_path))
