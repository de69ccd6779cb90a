"""The page for votes on candidates: its routes, and what they accept.

    GET  /                    the page
    GET  /progress            classes with their progress
    GET  /end                 what follows when a person has voted on all: the level, the command
    POST /next                name, page, label or null, first_label, n, held -> candidates to show
    POST /class               name, label -> all candidates of a class, for the grid
    POST /votes               name, votes -> what was there before each
    GET  /pictures/3.jpg      a candidate by its row, and /thumbnails/3.jpg
    GET  /examples/3          addresses of pictures of class 3; /photographs/3.jpg is one of them

A vote is {image_id, label, verdict: yes | no | unsure, seconds, at}. Its time `at` is in
microseconds since 1970 by the clock of the server. A vote that is sent again is known by its time,
and counts once. An undoing is {image_id, label, undo: {at, former}}. The answer comes when all of
them are on the disk; if one is not valid, none is saved.
"""

import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flask

from cnlw_tools.browser.annotation import Annotation
from cnlw_tools.browser.app import PICTURE_CACHE
from cnlw_tools.browser.vote_table import Change, Given, Ints, Outcome, now
from cnlw_tools.dataset import raw_votes
from cnlw_tools.files.texts import parse_json
from cnlw_tools.ingest.annotators import NOBODY

VERDICTS: Mapping[str, bool | None] = {"yes": True, "no": False, "unsure": None}
NAME_OF_VERDICT = {verdict: name for name, verdict in VERDICTS.items()}
MAX_NAME = 200  # characters
MAX_CHANGES = 500  # in one request
MAX_ROWS = 50  # candidates in one answer
FIRST_TIME = 946_684_800_000_000  # microseconds: the year 2000
NO_TABLE = 503  # it cannot be read or written
OUTAGE = 503  # of the disk with the pictures


class Ending(NamedTuple):
    """What follows when a person has voted on all candidates."""

    command: str  # that comes next
    describe_level: Callable[[], str]  # a sentence on the red noise that the votes allow; or ""


def make_pages(
    annotation: Annotation, annotator: str | None = None, ending: Ending | None = None
) -> flask.Blueprint:
    """Return the routes of the page for votes.

    Args:
        annotation: what people vote on
        annotator: the name that the page begins with; none: it asks for one
        ending: what the page says at the end; none: it thanks
    """
    pages = flask.Blueprint("annotate", __name__)
    edition = _edition(annotation)

    @pages.get("/")
    def index() -> str:
        return flask.render_template(
            "annotate.html",
            dataset=annotation.table.dataset.name,
            n_votes=annotation.candidates.n_votes,
            annotator=annotator or "",
            edition=edition,
            now=now(),
        )

    @pages.get("/progress")
    def progress() -> flask.Response:
        name = flask.request.args.get("name")
        _refresh(annotation)
        number = annotation.table.number_of(read_name(name)) if name else None
        return flask.jsonify(classes=_progress_of_classes(annotation, number))

    @pages.get("/end")
    def end() -> flask.Response:
        if ending is None:
            return flask.jsonify(command="", level="")
        return flask.jsonify(command=ending.command, level=_describe_level(ending))

    @pages.get("/examples/<int:label>")
    def examples(label: int) -> flask.Response:
        if label >= len(annotation.classes):
            flask.abort(404)
        return flask.jsonify(pictures=annotation.examples(label))

    _add_pictures(pages, annotation)
    _add_candidates(pages, annotation)
    _add_votes(pages, annotation)
    pages.register_error_handler(ValueError, _refuse)
    return pages


def _add_pictures(pages: flask.Blueprint, annotation: Annotation) -> None:
    """Add the routes of pictures."""

    @pages.get("/pictures/<int:row>.jpg")
    def picture(row: int) -> flask.Response:
        return _send_candidate(annotation, annotation.picture, row)

    @pages.get("/thumbnails/<int:row>.jpg")
    def thumbnail(row: int) -> flask.Response:
        return _send_candidate(annotation, annotation.thumbnail, row)

    @pages.get("/photographs/<int:row>.jpg")
    def photograph(row: int) -> flask.Response:
        photographs = annotation.photographs
        if photographs is None or row >= len(photographs.base) or not photographs.is_training[row]:
            flask.abort(404)
        try:
            return _send(photographs.thumbnail(row))
        except (LookupError, OSError, ValueError) as error:
            flask.current_app.logger.warning("%s", error)
            flask.abort(404)


def _add_candidates(pages: flask.Blueprint, annotation: Annotation) -> None:
    """Add the routes that say which candidates to show."""
    table, candidates = annotation.table, annotation.candidates

    @pages.post("/next")
    def next_candidates() -> flask.Response:
        request = _read_request()
        _refresh(annotation)
        number = table.number_of(read_name(request.get("name")))
        label = request.get("label")
        page = _read_text(request, "page")
        rows = candidates.next_rows(
            table.standing,
            number,
            page=page,
            n=_read_integer(request, "n", 1, MAX_ROWS),
            rows_on_page=_read_rows(request.get("held", []), len(annotation.web)),
            label=None if label is None else _read_label(request, annotation),
            first_label=_read_first_label(request, page, annotation),
        )
        missing = candidates.missing(table.standing)
        descriptions = [_describe_candidate(annotation, row, missing) for row in rows]
        return flask.jsonify(candidates=descriptions)

    @pages.post("/class")
    def candidates_of_class() -> flask.Response:
        request = _read_request()
        _refresh(annotation)
        number = table.number_of(read_name(request.get("name")))
        label = _read_label(request, annotation)
        rows = candidates.rows_of_class(table.standing, number, label)
        own_rows = table.standing.rows_of(number)
        correct = table.standing.votes["correct"].take(own_rows).to_pylist()
        answers = zip(table.standing.candidate[own_rows].tolist(), correct, strict=True)
        verdicts = {row: NAME_OF_VERDICT[verdict] for row, verdict in answers}
        return flask.jsonify(
            rows=rows.tolist(),
            image_ids=annotation.web["image_id"].take(rows).to_pylist(),
            verdicts=[verdicts.get(row, "") for row in rows.tolist()],
            missing=candidates.missing(table.standing)[rows].tolist(),
        )


def _add_votes(pages: flask.Blueprint, annotation: Annotation) -> None:
    """Add the route that takes votes."""
    table, candidates = annotation.table, annotation.candidates

    @pages.post("/votes")
    def votes() -> flask.Response:
        request = _read_request()
        name = read_name(request.get("name"))
        changes = _read_changes(request.get("votes"), name, annotation)
        try:
            outcomes = table.apply(changes)
        except (OSError, ValueError, LookupError) as error:
            flask.current_app.logger.warning("votes could not be saved: %s", error)
            flask.abort(NO_TABLE, f"The votes could not be saved: {error}.")
        candidates.release(change.candidate for change in changes)
        results = [_describe(*pair) for pair in zip(changes, outcomes, strict=True)]
        return flask.jsonify(results=results)


def read_name(name: Any) -> str:
    """Return the name of an annotator in the form that votes have.

    Raises:
        ValueError: it is no such name
    """
    if not isinstance(name, str) or len(name) > MAX_NAME or not name.isprintable():
        raise ValueError(f"The name must be one line of at most {MAX_NAME} characters.")
    try:
        annotator = raw_votes.read_annotator(name)
    except ValueError as error:
        raise ValueError("The name has characters that cannot be stored.") from error
    if annotator is None:
        raise ValueError("The name is empty: enter your name or your initials.")
    if raw_votes.fold_annotator(annotator) == NOBODY:
        raise ValueError(f"The name {NOBODY} stands for published verdicts: enter another one.")
    return annotator


def _refresh(annotation: Annotation) -> None:
    """Take over votes that an import or another server wrote; answer 503 if this is impossible."""
    try:
        annotation.table.refresh()
    except (OSError, ValueError, LookupError) as error:
        flask.current_app.logger.warning("the votes could not be read: %s", error)
        flask.abort(NO_TABLE, f"The votes could not be read: {error}.")


def _describe_level(ending: Ending) -> str:
    """Return a sentence on the red noise that the votes allow; none if it cannot be computed."""
    try:
        return ending.describe_level()
    except (OSError, ValueError, LookupError) as error:
        flask.current_app.logger.warning("%s", error)
        return ""


def _read_request() -> dict[str, Any]:
    """Return the JSON object of a request.

    Raises:
        ValueError: its body is none
    """
    request = parse_json(flask.request.get_data(), "The request")
    if not isinstance(request, dict):
        raise ValueError("The request is not a JSON object.")
    return request


def _read_changes(votes: Any, name: str, annotation: Annotation) -> list[Change]:
    """Return the votes and undoings of a request.

    Raises:
        ValueError: one of them is not valid
    """
    if not isinstance(votes, list) or not 1 <= len(votes) <= MAX_CHANGES:
        raise ValueError(f"The request must have a list of 1 to {MAX_CHANGES} votes.")
    return [_read_change(vote, name, annotation) for vote in votes]


def _read_change(vote: Any, name: str, annotation: Annotation) -> Change:
    if not isinstance(vote, dict):
        raise ValueError("A vote is not a JSON object.")
    row = _find_candidate(vote, annotation)
    if "undo" in vote:
        return _read_undoing(vote["undo"], row, name)
    at = now()
    if "at" in vote:
        at = min(at, _read_integer(vote, "at", FIRST_TIME))
    seconds = vote.get("seconds")
    if seconds is not None:
        seconds = _read_number(seconds, "seconds", raw_votes.MAX_SECONDS)
    return Change(row, name, Given(_read_verdict(vote), at, seconds))


def _find_candidate(vote: Mapping[str, Any], annotation: Annotation) -> int:
    """Return the row of a candidate that has a picture."""
    image_id, label = vote.get("image_id"), vote.get("label")
    row = None
    if isinstance(image_id, str) and isinstance(label, int) and not isinstance(label, bool):
        row = annotation.row_of_candidate.get((image_id, label))
    if row is None:
        raise ValueError("There is no candidate with this image_id and label.")
    if not annotation.is_available[row]:
        raise ValueError("This candidate has no picture that could be voted on.")
    return row


def _read_undoing(undo: Any, row: int, name: str) -> Change:
    """Return the change that puts back what was there before a vote."""
    if not isinstance(undo, dict):
        raise ValueError("What is to be undone is not a JSON object.")
    at = _read_integer(undo, "at", 0)
    former = undo.get("former")
    if former is None:
        return Change(row, name, None, at)
    if not isinstance(former, dict):
        raise ValueError("The former vote is not a JSON object.")
    seconds = former.get("seconds")
    if seconds is not None:
        seconds = _read_number(seconds, "seconds", raw_votes.MAX_SECONDS)
    former_at = None if former.get("at") is None else _read_integer(former, "at", 0)
    return Change(row, name, Given(_read_verdict(former), former_at, seconds), at)


def _read_verdict(vote: Mapping[str, Any]) -> bool | None:
    verdict = vote.get("verdict")
    if not isinstance(verdict, str) or verdict not in VERDICTS:
        raise ValueError(f"A verdict must be one of {', '.join(VERDICTS)}.")
    return VERDICTS[verdict]


def _read_number(value: Any, name: str, largest: float) -> float:
    if type(value) not in (int, float) or not 0 <= value <= largest:
        raise ValueError(f"The value of {name} must be a number from 0 to {largest:.0f}.")
    return float(value)


def _read_integer(request: Mapping[str, Any], name: str, least: int, largest: int = 1 << 53) -> int:
    value = request.get(name)
    if type(value) is not int or not least <= value <= largest:
        raise ValueError(f"The value of {name} must be a whole number from {least} to {largest}.")
    return value


def _read_text(request: Mapping[str, Any], name: str) -> str:
    value = request.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_NAME:
        raise ValueError(f"The value of {name} must be a text of 1 to {MAX_NAME} characters.")
    return value


def _read_label(request: Mapping[str, Any], annotation: Annotation) -> int:
    return _read_integer(request, "label", 0, len(annotation.classes) - 1)


def _read_rows(rows: Any, n: int) -> list[int]:
    if not isinstance(rows, list) or any(type(row) is not int for row in rows):
        raise ValueError("The value of held must be a list of whole numbers.")
    return [row for row in rows if 0 <= row < n]


def _read_first_label(request: Mapping[str, Any], page: str, annotation: Annotation) -> int:
    """Return the class that comes first; a new page begins with one of its own."""
    if request.get("first_label") is None:
        return zlib.crc32(page.encode(errors="replace")) % len(annotation.classes)
    return _read_integer(request, "first_label", 0, len(annotation.classes))


def _describe_candidate(annotation: Annotation, row: int, missing: Ints) -> dict[str, Any]:
    return {
        "row": row,
        "image_id": annotation.web["image_id"][row].as_py(),
        "label": int(annotation.candidates.label[row]),
        "missing": int(missing[row]),
    }


def _describe(change: Change, outcome: Outcome) -> dict[str, Any]:
    """Return what the page has to know of a change that was saved."""
    former = None
    if outcome.former is not None:
        former = {
            "verdict": NAME_OF_VERDICT[outcome.former.correct],
            "at": outcome.former.at,
            "seconds": outcome.former.seconds,
        }
    at = change.given.at if change.given else None
    return {"at": at, "former": former, "is_applied": outcome.is_applied}


def _progress_of_classes(annotation: Annotation, number: str | None) -> list[dict[str, Any]]:
    progress = annotation.candidates.progress(annotation.table.standing, number)
    return [
        {"name": name, **counts._asdict()}
        for name, counts in zip(annotation.classes, progress, strict=True)
    ]


def _send_candidate(
    annotation: Annotation, make: Callable[[int], bytes], row: int
) -> flask.Response:
    """Return the picture of a candidate; if it is damaged, nobody is asked about it."""
    if row >= len(annotation.web) or not annotation.is_available[row]:
        flask.abort(404)
    try:
        return _send(make(row))
    except (LookupError, OSError, ValueError) as error:
        flask.current_app.logger.warning("%s", error)
        if annotation.is_outage(error):
            flask.abort(OUTAGE, "The pictures cannot be read now.")
        annotation.candidates.remove(row)
        flask.abort(404)


def _send(jpeg: bytes) -> flask.Response:
    response = flask.Response(jpeg, mimetype="image/jpeg")
    response.headers["Cache-Control"] = PICTURE_CACHE
    return response


def _refuse(error: ValueError) -> flask.typing.ResponseReturnValue:
    """Return a sentence on a request that is not valid."""
    return flask.Response(f"{error}\n", 400, mimetype="text/plain")


def _edition(annotation: Annotation) -> str:
    """Return a text that differs where rows of the manifest may be other candidates."""
    return f"{zlib.crc32(annotation.table.web_path.read_bytes()):08x}"
