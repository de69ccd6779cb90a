"""Label Studio: candidates are written as tasks, and votes are read from its JSON export.

task          {"data": {"image": URL, "class": name, "image_id": id, "label": 3}}
annotation    {"completed_by": who, "updated_at": when,
               "result": [{"from_name": "shows", "value": {"choices": ["yes"]}}]}

or, as JSON-MIN, one row per annotation:

    {"image_id": id, "label": 3, "shows": "yes", "annotator": who, "updated_at": when}

The time of a vote is that of the last change, so a corrected answer is the later one; a skipped
task is not a vote. Format: Label Studio's guide, "Label Studio JSON format of annotated tasks" and
"Export formats".
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.dataset import table_io, tables
from cnlw_tools.dataset.verdicts import CANDIDATE, compute_verdicts
from cnlw_tools.registry import pick

QUESTION = "shows"  # the name of the question in the interface
ANSWERS: Mapping[str, bool | None] = {"yes": True, "no": False, "unsure": None}
INTERFACE = """\
<View>
  <Header value="Does the image show this: $class?"/>
  <Image name="image" value="$image"/>
  <Choices name="shows" toName="image" choice="single" required="true">
    <Choice value="yes"/>
    <Choice value="no"/>
    <Choice value="unsure"/>
  </Choices>
</View>
"""

Record = Mapping[str, Any]  # an object of the JSON file


def make_tasks(
    web: pa.Table,
    votes: pa.Table,
    classes: Sequence[str],
    min_votes: int,
    url: str | None,
) -> list[dict[str, Any]]:
    """Return a task for each candidate that is short of votes, in the order of the manifest.

    Args:
        web: the candidates; those whose image is dead are left out
        votes: all votes on them so far
        classes: the names of the classes, by label
        min_votes: how many yes and no votes, taken together, are enough
        url: where images are served, with ``{image_id}`` in it; none: at the uri of the manifest

    Raises:
        ValueError: a candidate has no uri, or the url is the same for all images
    """
    if url is not None and "{image_id}" not in url:
        raise ValueError(f"url {url!r}: all images would have the same: put {{image_id}} into it")
    is_short = _count_verdicts(web, votes) < min_votes
    short = web.filter(pa.array(is_short))
    if "dead" in short.column_names:
        short = short.filter(pc.invert(short["dead"]))
    if url is None:
        remedy = "no uri: add it, or give --url"
        has_no_uri = short["uri"].is_null().to_numpy()
        table_io.reject_bad_rows("web manifest", "uri", has_no_uri, short["image_id"], remedy)
    tasks = []
    for row in short.select([*CANDIDATE, "uri"]).to_pylist():
        if url is None:
            image_url = row["uri"]
        else:
            image_url = url.replace("{image_id}", quote(row["image_id"]))
        data = {
            "image": image_url,
            "class": classes[row["label"]],
            "image_id": row["image_id"],
            "label": row["label"],
        }
        tasks.append({"data": data})
    return tasks


def read_export(text: str, path: str) -> pa.Table:
    """Return the votes of a JSON export.

    Args:
        text: the export
        path: what the error messages call it

    Raises:
        ValueError: it is not a JSON export of tasks from `make_tasks`
        LookupError: an answer is none of yes, no, unsure
    """
    try:
        votes: list[dict[str, Any]] = []
        for number, task in enumerate(json.loads(text)):
            votes += _task_votes(task, f"{path}: task {number}")
        return pa.Table.from_pylist(votes, tables.VOTES)
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
        raise ValueError(
            f"{path}: not an export of Label Studio with tasks of cnlw ({error!r}): "
            "export it as JSON or JSON-MIN, from tasks of `cnlw votes export`"
        ) from error


def _task_votes(task: Record, place: str) -> Iterator[dict[str, Any]]:
    """Yield the votes on one task; a row of JSON-MIN is one vote."""
    if "annotations" not in task:
        answer = task[QUESTION]
        answers = answer["choices"] if isinstance(answer, Mapping) else [answer]
        yield _vote(task, answers, task.get("annotator"), task, place)
        return
    for annotation in task["annotations"]:
        if annotation.get("was_cancelled"):
            continue
        answers = []
        for result in annotation["result"]:
            if result["from_name"] == QUESTION:
                answers += result["value"]["choices"]
        yield _vote(task["data"], answers, annotation.get("completed_by"), annotation, place)


def _vote(
    candidate: Record,
    answers: list[str],
    completed_by: Any,
    times: Record,
    place: str,
) -> dict[str, Any]:
    """Return one row of tables.VOTES.

    Args:
        candidate: holds image_id and label
        answers: to the question; there must be one
        completed_by: the annotator, as the export has it
        times: holds ``updated_at`` or ``created_at``
        place: for the error messages
    """
    if len(answers) != 1:
        raise ValueError(
            f"{place}: {len(answers)} answers to one question: fix it in Label Studio, or remove it"
        )
    time = times.get("updated_at") or times.get("created_at")
    vote = {name: candidate[name] for name in CANDIDATE}
    vote["annotator"] = _annotator_name(completed_by)
    vote["correct"] = pick(ANSWERS, answers[0], f"answer in {place}")
    vote["at"] = datetime.fromisoformat(time) if time else None
    return vote


def _annotator_name(completed_by: Any) -> str | None:
    """Return an annotator's e-mail address if the export has it, or else the number."""
    if isinstance(completed_by, Mapping):
        return str(completed_by.get("email") or completed_by["id"])
    return None if completed_by is None else str(completed_by)


def _count_verdicts(web: pa.Table, votes: pa.Table) -> NDArray[np.int64]:
    """Return (n,) how many yes and no votes each candidate has."""
    voted = compute_verdicts(votes)
    n_votes = pc.add(voted["yes"], voted["no"])
    counts = voted.select(CANDIDATE).append_column("n_votes", n_votes)
    candidates = web.select(CANDIDATE).append_column("row", pa.array(np.arange(len(web))))
    joined = candidates.join(counts, CANDIDATE, join_type="left outer", use_threads=False)
    ordered = joined.sort_by("row")
    count: NDArray[np.int64] = pc.fill_null(ordered["n_votes"], 0).to_numpy()
    return count
