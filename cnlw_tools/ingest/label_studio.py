"""Label Studio: candidates go out as tasks, its JSON export comes back as votes.

task          {"data": {"image": URL, "class": name, "image_id": id, "label": 3}}
annotation    {"completed_by": who, "updated_at": when,
               "result": [{"from_name": "shows", "value": {"choices": ["yes"]}}]}

or, as JSON-MIN, an annotation a row: {"image_id": id, "label": 3, "shows": "yes", "annotator": who, "updated_at": when}

Time is that of the last change, so a corrected answer is the later one; a skipped task is no vote. Format: Label
Studio's guide, "Label Studio JSON format of annotated tasks" and "Export formats".
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
from cnlw_tools.dataset.verdicts import KEY, verdicts
from cnlw_tools.registry import pick

ANSWERS: Mapping[str, bool | None] = {"yes": True, "no": False, "unsure": None}
CONFIG = """\
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


def tasks(
    web: pa.Table, votes: pa.Table, classes: Sequence[str], wanted: int, url: str | None
) -> list[dict[str, Any]]:
    """Return a task for each candidate with fewer than ``wanted`` yes and no together, in the order of the manifest.

    Args:
        web: candidates; those whose image is dead are left out
        votes: what was said of them so far
        classes: names, by label
        wanted: votes
        url: where images are served, ``{image_id}`` in it; none: at the uri of the manifest

    Raises:
        ValueError: a candidate without a uri, or a url that is the same for all
    """
    if url is not None and "{image_id}" not in url:
        raise ValueError(f"url {url!r}: all images would have the same: put {{image_id}} into it")
    short = web.filter(pa.array(_votes(web, votes) < wanted))
    if "dead" in short.column_names:
        short = short.filter(pc.invert(short["dead"]))
    if url is None:
        nowhere = short["uri"].is_null().to_numpy()
        table_io.first(
            "web manifest", "uri", nowhere, short["image_id"], "no uri: add it, or give --url"
        )
    rows = short.select([*KEY, "uri"]).to_pylist()
    return [
        {
            "data": {
                "image": url.replace("{image_id}", quote(row["image_id"])) if url else row["uri"],
                "class": classes[row["label"]],
                "image_id": row["image_id"],
                "label": row["label"],
            }
        }
        for row in rows
    ]


def read(text: str, path: str) -> pa.Table:
    """Return the votes of an export; ``path`` is what the errors call it.

    Raises:
        ValueError: it is no JSON export of tasks that `tasks` made, or an answer is none of yes, no, unsure
    """
    try:
        rows = [
            row
            for i, task in enumerate(json.loads(text))
            for row in _said(task, f"{path}: task {i}")
        ]
        return pa.Table.from_pylist(rows, tables.VOTES)
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
        remedy = "export it as JSON or JSON-MIN, from tasks of `cnlw export tasks`"
        raise ValueError(
            f"{path}: not an export of Label Studio with our tasks ({error!r}): {remedy}"
        ) from error


def _said(task: Mapping[str, Any], where: str) -> Iterator[dict[str, Any]]:
    """Yield the votes on one task."""
    if "annotations" not in task:  # JSON-MIN
        said = task["shows"]
        yield _vote(
            task,
            said["choices"] if isinstance(said, Mapping) else [said],
            task.get("annotator"),
            task,
            where,
        )
    for annotation in task.get("annotations", []):
        if not annotation.get("was_cancelled"):
            results = [r for r in annotation["result"] if r["from_name"] == "shows"]
            given = [choice for r in results for choice in r["value"]["choices"]]
            yield _vote(task["data"], given, annotation.get("completed_by"), annotation, where)


def _vote(
    data: Mapping[str, Any], given: list[str], who: Any, times: Mapping[str, Any], where: str
) -> dict[str, Any]:
    """Return one vote; times: what holds ``updated_at``, or ``created_at``."""
    if len(given) != 1:
        raise ValueError(
            f"{where}: {len(given)} answers to one question: mend it in Label Studio, or drop it"
        )
    when = times.get("updated_at") or times.get("created_at")
    return {
        **{name: data[name] for name in KEY},
        "annotator": _who(who),
        "correct": pick(ANSWERS, given[0], f"answer in {where}"),
        "at": datetime.fromisoformat(when) if when else None,
    }


def _who(completed_by: Any) -> str | None:
    """Name an annotator: by address where the export has it, else by number."""
    if isinstance(completed_by, Mapping):
        return str(completed_by.get("email") or completed_by["id"])
    return None if completed_by is None else str(completed_by)


def _votes(web: pa.Table, votes: pa.Table) -> NDArray[np.int64]:
    """Return (n,) how many yes and no each candidate has."""
    found = verdicts(votes)
    said = found.select(KEY).append_column("said", pc.add(found["yes"], found["no"]))
    rows = web.select(KEY).append_column("row", pa.array(np.arange(len(web))))
    joined = rows.join(said, KEY, join_type="left outer", use_threads=False).sort_by("row")
    count: NDArray[np.int64] = pc.fill_null(joined["said"], 0).to_numpy()
    return count
