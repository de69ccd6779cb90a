"""What `cnlw votes report --dataset` says of votes."""

import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from click.testing import CliRunner

from cnlw_tools.cli import main
from cnlw_tools.dataset import tables
from cnlw_tools.dataset.tables import VOTES


def show(*arguments):
    return CliRunner().invoke(main, ["votes", "report", *map(str, arguments)])


def rewrite(toy, rows):
    tables.write_parquet(pa.Table.from_pylist(rows, VOTES), toy / "annotations/toy/votes.parquet")


def test_signed_votes(toy):
    """Agreement, who stands out, verdicts, pool and level of each class."""
    web = pq.read_table(toy / "manifests/toy/web.parquet").to_pylist()
    rows = []
    for i, row in enumerate(web):
        number = int(row["image_id"].split(".")[1])
        right = number >= (40 if row["label"] else 10)  # 32 of class 0 show it, 2 of the others
        key = {"image_id": row["image_id"], "label": row["label"]}
        rows += [
            {**key, "annotator": f"a{j}", "correct": right ^ ((i + 7 * j) % 20 == 0)}
            for j in range(4)
        ]
        rows += [{**key, "annotator": "guess", "correct": right ^ (i % 2 == 0)}]
    rewrite(toy, [row for row in rows if row["image_id"] != "w3.0"])

    said = show("--dataset", "toy", "--root", toy)

    assert 0 == said.exit_code, said.output
    assert "toy: 168 candidates, 835 votes; verdict majority, min_votes 1" in said.output
    assert re.search(
        r"alpha 0\.\d{3}, Fleiss' kappa 0\.\d{3} \(167 candidates with 5 votes\)", said.output
    )
    assert re.search(
        r"annotators: 5, the median error is [4-9]\.\d %; .*: guess \(49.7 % of 167\)$",
        said.output,
        re.M,
    )
    rates = re.findall(r"^     (guess|a\d) +(\d+\.\d) % of (\d+)$", said.output, re.M)
    assert [("guess", "49.7", "167"), 5] == [rates[0], len(rates)]
    assert sorted(rates, key=lambda rate: -float(rate[1])) == rates
    assert re.search(r"majority and dawid_skene differ on \d+ candidates", said.output)
    assert re.search(r" 0 class a +32 +10 +0 +0 +10 +4\d %", said.output)
    assert re.search(r" 3 class d +2 +39 +0 +1 +39 +95 %", said.output)
    assert "red noise of all classes: up to 4" in said.output


def test_as_the_recipe_says(toy):
    """The recipe of the dataset's red noise says how votes are counted."""
    (toy / "pipelines").mkdir()
    (toy / "pipelines/toy_red.toml").write_text('dataset = "toy"\nnoise = "red"\nmin_votes = 2\n')

    said = show("--dataset", "toy", "--root", toy)

    assert "min_votes 2" in said.output
    assert "alpha undefined, Fleiss' kappa undefined (no candidate has two votes)" in said.output
    assert re.search(r" 0 class a +0 +0 +42 +0 +0 +0 %", said.output)


def test_nameless_votes_and_no_base(toy):
    """Without names there are no error rates; without a base manifest no levels."""
    votes = pq.read_table(toy / "annotations/toy/votes.parquet").to_pylist()
    rewrite(toy, [row | {"annotator": None} for row in votes])
    (toy / "manifests/toy/base.parquet").unlink()

    said = show("--dataset", "toy", "--root", toy)

    assert "annotators: 168 votes without a name" in said.output
    assert re.search(r" 0 class a +2 +40 +0 +0 +40 +\?", said.output)
    assert "give --data-dir" in said.output


def test_no_votes(toy):
    """A dataset without a vote is shown, too."""
    (toy / "annotations/toy/votes.parquet").unlink()

    said = show("--dataset", "toy", "--root", toy)

    assert 0 == said.exit_code, said.output
    assert "annotators: 0; more than 3 deviations above it: none" in said.output
    assert re.search(r" 0 class a +0 +0 +0 +42 +0 +0 %", said.output)
    assert "red noise: nobody has voted yet" in said.output


def test_one_of_both(toy):
    """Either a path or a dataset is shown."""
    assert (2, 2) == (show().exit_code, show(toy, "--dataset", "toy").exit_code)
    assert "Did you mean 'toy'" in show("--dataset", "toi", "--root", toy).output


def test_search(toy):
    """A search of the recipe takes candidates out of the pool, not out of the counts."""
    path = toy / "manifests/toy/web.parquet"
    web = pq.read_table(path)
    tables.write_parquet(
        web.append_column("search", pc.if_else(pc.equal(web["label"], 0), "image", "text")), path
    )
    (toy / "pipelines").mkdir()
    (toy / "pipelines/toy_red.toml").write_text(
        'dataset = "toy"\nnoise = "red"\nsearch = ["text"]\n'
    )

    said = show("--dataset", "toy", "--root", toy)

    assert "min_votes 1, search text" in said.output
    assert re.search(r" 0 class a +2 +40 +0 +0 +0 +0 %", said.output)
    assert re.search(r" 1 class b +2 +40 +0 +0 +40 +95 %", said.output)


def test_time(toy):
    """Blocks of votes in order of time, and the seconds for a vote, if the votes have them."""
    votes = pq.read_table(toy / "annotations/toy/votes.parquet").to_pylist()
    start = datetime(2026, 3, 1, tzinfo=UTC)
    for i, row in enumerate(votes):
        row["at"] = start + timedelta(minutes=i) if i else None
    table = pa.Table.from_pylist(votes, VOTES)
    seconds = pa.array([1.0] * 100 + [3.0] * (len(votes) - 100), pa.float32())
    path = toy / "annotations/toy/votes.parquet"
    tables.write_parquet(table.append_column("seconds", seconds), path)

    said = show("--dataset", "toy", "--root", toy)

    assert (
        "seconds for a vote: the median is 1.0, 80 % are from 1.0 to 3.0; 0.1 hours" in said.output
    )
    assert "over time: 1 vote without a time left out" in said.output
    blocks = re.findall(
        r"^ +2026-03-01 \S+ to 2026-03-01 \S+ +(\d+) +(\d+) % +0 % +- +(\S+)$", said.output, re.M
    )
    assert [34, 34, 33, 33, 33] == [int(n_votes) for n_votes, _, _ in blocks]
    assert ["1.0", "1.0", "1.0", "3.0", "3.0"] == [pace for _, _, pace in blocks]


def test_votes_by_chance(toy, monkeypatch):
    """If the error rates cannot be estimated, the report says so, and the rest stands."""
    monkeypatch.setattr("cnlw_tools.dataset.dawid_skene.MAX_ROUNDS", 1)
    rows = []
    for row in pq.read_table(toy / "manifests/toy/web.parquet").to_pylist():
        key = {"image_id": row["image_id"], "label": row["label"]}
        rows += [{**key, "annotator": f"a{j}", "correct": hash_bit(row, j)} for j in range(3)]
    rewrite(toy, rows)

    said = show("--dataset", "toy", "--root", toy)

    assert 0 == said.exit_code, said.output
    assert "no error rates, because the model of Dawid and Skene does not" in said.output
    assert "red noise of all classes: up to" in said.output


def hash_bit(row, annotator):
    """A coin that is thrown once for each candidate and annotator."""
    text = f"{row['image_id']} {row['label']} {annotator}"
    return sha256(text.encode()).digest()[0] % 2 == 0


def test_names_of_classes_keep_the_table_in_shape(toy):
    """Folders may be called anything; a terminal gets neither its commands nor a thousand letters."""
    names = ["a\nb", "\x1b[31mred", "x" * 1000]
    path = toy / "manifests/toy/classes.csv"
    others = path.read_text().splitlines()[4:]
    lines = [f'{label},"{name}"' for label, name in enumerate(names)]
    path.write_text("\n".join(["label,name", *lines, *others]) + "\n")

    said = show("--dataset", "toy", "--root", toy)

    assert 0 == said.exit_code, said.output
    rows = said.output.splitlines()
    assert [True, True] == [row.endswith("%") for row in rows if "a\\nb" in row or "[31m" in row]
    assert "\x1b" not in said.output
    assert max(map(len, rows)) < 200
