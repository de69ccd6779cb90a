"""Label Studio: candidates are written as tasks, and votes are read from its JSON export.

task          {"data": {"image": URL, "class": name, "image_id": id, "label": 3}}
annotation    {"completed_by": WHO, "updated_at": when,
               "result": [{"from_name": "shows", "value": {"choices": ["yes"]}}]}

or, as JSON-MIN, one row per annotation:

    {"image_id": id, "label": 3, "shows": "yes", "annotator": WHO, "updated_at": when}

WHO is a number, an e-mail address, or {"id": number, "email": address}. The time of a vote is that
of the last change, so a corrected answer is the later one. A task that is skipped, a draft, and an
answer that is blank are not votes. Format: Label Studio's guide, "Label Studio JSON format of
annotated tasks" and "Export formats".
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.dataset import raw_votes, table_io, tables
from cnlw_tools.dataset.verdicts import CANDIDATE, compute_verdicts
from cnlw_tools.registry import pick

QUESTION = "shows"  # the name of the question in the interface
ANSWERS: Mapping[str, bool | None] = {"yes": True, "no": False, "unsure": None}
COUNTED = ("yes", "no", "unsure")  # columns of verdicts
TASK_KEYS = frozenset({"annotator", "class", "image", "image_id", "label"})  # of JSON-MIN
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
    is_asked: NDArray[np.bool_],
) -> list[dict[str, Any]]:
    """Return a task for each candidate that is short of votes, in the order of the manifest.

    Args:
        web: the candidates
        votes: all votes on them so far
        classes: the names of the classes, by label
        min_votes: how many yes and no votes, taken together, are enough
        url: where images are served, with ``{image_id}`` in it; none: at the uri of the manifest
        is_asked: (n,) the candidates that people are asked about

    Raises:
        ValueError: a candidate has no uri, or the url is the same for all images
    """
    if url is not None and "{image_id}" not in url:
        raise ValueError(
            f"url {url!r}: all images would have the same URL: put {{image_id}} into it"
        )
    n_decisive = count_answers(web, votes)[:, :2].sum(1)
    short = web.filter(pa.array(is_asked & (n_decisive < min_votes)))
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


class Export(NamedTuple):
    """What an export holds."""

    votes: pa.Table  # of the VOTES schema; annotators as numbers where the export has them
    people: list[tuple[str, str]]  # number and address of annotators for whom it has both
    n_unanswered: int  # tasks without a vote


class Answer(NamedTuple):
    """An annotation of JSON, or a row of JSON-MIN."""

    candidate: Record  # holds image_id and label
    choices: Mapping[str, list[Any]]  # by the name of the question
    completed_by: Any
    times: Record  # may hold updated_at or created_at
    place: str  # for error messages


def read_export(tasks: Iterable[Record], path: str) -> Export:
    """Return the votes of a JSON export.

    Args:
        tasks: what the JSON file holds
        path: what the error messages call it

    Raises:
        ValueError: it is not a JSON export of tasks from `make_tasks`, or a value in it is wrong
        LookupError: an answer is none of yes, no, unsure
    """
    votes: list[Answer] = []
    n_unanswered = 0
    try:
        for number, task in enumerate(tasks):
            answers = _read_answers(task, f"task {number}")
            given_answers = [answer for answer in answers if _is_given(answer, path)]
            votes += given_answers
            n_unanswered += not given_answers
        return Export(_make_votes(votes, path), _find_people(votes), n_unanswered)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path}: this is not an export of Label Studio with tasks of cnlw ({error!r}): "
            "export it as JSON or JSON-MIN, from tasks of `cnlw votes export`"
        ) from error


def _read_answers(task: Record, place: str) -> list[Answer]:
    """Return the answers to a task, blank ones too, and without those that were skipped."""
    if "data" in task or "annotations" in task:
        candidate = task["data"]
        annotations = task["annotations"] or []
    else:
        candidate = task
        annotations = [task]
    for name in CANDIDATE:
        candidate[name]  # an export of other tasks is an error even if nobody has answered
    answers = []
    for annotation in annotations:
        if annotation.get("was_cancelled"):
            continue
        if annotation is task:
            choices = {name: _choices(task[name]) for name in task.keys() - TASK_KEYS}
        else:
            choices = _choices_by_question(annotation["result"] or [])
        completed_by = annotation.get("completed_by", annotation.get("annotator"))
        answers.append(Answer(candidate, choices, completed_by, annotation, place))
    return answers


def _choices_by_question(results: Sequence[Record]) -> dict[str, list[Any]]:
    """Return what was chosen, by the name of the question."""
    choices: dict[str, list[Any]] = {}
    for result in results:
        question = choices.setdefault(result["from_name"], [])
        question += _choices(result["value"])
    return choices


def _choices(value: Any) -> list[Any]:
    """Return the choices that are not blank, of one answer or several."""
    if isinstance(value, Mapping):
        value = value.get("choices")
    choices = value if isinstance(value, list) else [value]
    return [choice for choice in choices if choice is not None and choice != ""]


def _is_given(answer: Answer, path: str) -> bool:
    """Tell whether an answer is more than blank.

    Raises:
        ValueError: it is an answer to a question of another name
    """
    if answer.choices.get(QUESTION):
        return True
    for name, choices in answer.choices.items():
        if any(choice in ANSWERS for choice in choices if isinstance(choice, str)):
            raise ValueError(
                f"{path}: {answer.place}: the question must be called {QUESTION!r}, but it is "
                f"called {name!r}: "
                "rename it in the export, and use the interface of `cnlw votes export` next time"
            )
    return False


def _make_votes(answers: Sequence[Answer], path: str) -> pa.Table:
    """Return the votes that answers are."""
    columns: dict[str, list[Any]] = {name: [] for name in tables.VOTES.names}
    for answer in answers:
        choices = answer.choices[QUESTION]
        if len(choices) != 1:
            raise ValueError(
                f"{path}: {answer.place}: there are {len(choices)} answers to one question: "
                "fix it in Label Studio, or remove it"
            )
        for name in CANDIDATE:
            columns[name].append(answer.candidate[name])
        columns["annotator"].append(_annotator(answer.completed_by))
        verdict = pick(ANSWERS, str(choices[0]), f"answer in {path}: {answer.place}")
        columns["correct"].append(verdict)
        columns["at"].append(answer.times.get("updated_at") or answer.times.get("created_at"))
    places = [answer.place for answer in answers]
    return raw_votes.read_columns(columns, path, places)


def _annotator(completed_by: Any) -> Any:
    """Return the number of an annotator, or else the address."""
    if not isinstance(completed_by, Mapping):
        return completed_by
    number = completed_by.get("id")
    return completed_by["email"] if number is None else number


def _find_people(answers: Iterable[Answer]) -> list[tuple[str, str]]:
    """Return number and address of each annotator for whom the export has both."""
    people: dict[tuple[str, str], None] = {}
    for answer in answers:
        if not isinstance(answer.completed_by, Mapping):
            continue
        number = raw_votes.read_annotator(answer.completed_by.get("id"))
        email = answer.completed_by.get("email")
        address = raw_votes.read_annotator(email) if isinstance(email, str) else None
        if number and address:
            people[number, address] = None
    return list(people)


def count_answers(web: pa.Table, votes: pa.Table) -> NDArray[np.int64]:
    """Return (n, 3) how many votes of yes, no and unsure each candidate has."""
    counts = compute_verdicts(votes).select([*CANDIDATE, *COUNTED])
    candidates = web.select(CANDIDATE).append_column("row", pa.array(np.arange(len(web))))
    joined = candidates.join(counts, CANDIDATE, join_type="left outer", use_threads=False)
    ordered = joined.sort_by("row")
    columns = [pc.fill_null(ordered[name], 0).to_numpy() for name in COUNTED]
    answers: NDArray[np.int64] = np.stack(columns, 1)
    return answers
