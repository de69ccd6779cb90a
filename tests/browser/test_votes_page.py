"""The page on which people vote, in a browser: by keys, by touch, with faults, from strangers."""

import json
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from cnlw_tools.browser.annotate import Ending, make_pages
from cnlw_tools.browser.annotation import open_annotation
from cnlw_tools.browser.app import HEADERS
from cnlw_tools.dataset import tables
from tests.browser.chromium import (
    DESK,
    LOOKS,
    PHONE,
    Look,
    Visit,
    clipped_texts,
    faint_texts,
    overflow,
    shoot,
    wear,
)
from tests.browser.flowers import (
    EVIL_NAMES,
    NAME,
    Flowers,
    add_candidates,
    make_flowers,
    rename_classes,
)
from tests.browser.serving import TOKEN, ask, serve

VERDICT_OF_KEY = {"y": True, "n": False, "u": None}
EACH = 4  # candidates of each of three classes that people are asked about
N_CANDIDATES = 3 * EACH
Vote = tuple[str, bool | None]  # image id and verdict
MANY = 10_000
LANDSCAPE = Look(844, 390, "light")  # a phone on its side
LOW, TABLET = Look(1280, 600, "light"), Look(768, 1024, "dark")
ENDING = Ending("cnlw votes report --dataset flowers", lambda: "Red noise is possible up to 5 %.")
SCROLL = """async () => {
  const box = document.getElementById("grid");
  const nextFrame = () => new Promise(requestAnimationFrame);
  const times = [];
  let most = 0;
  let last = await nextFrame();
  for (let i = 1; i <= 12; i += 1) {
    box.scrollTop = (box.scrollHeight - box.clientHeight) * i / 12;
    const now = await nextFrame();
    times.push(now - last);
    last = now;
    most = Math.max(most, box.querySelectorAll(".cell").length);
  }
  return [times, most];
}"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Flowers:
    """The dataset as it is before anybody votes."""
    return make_flowers(tmp_path_factory.mktemp("template"), EACH)


@pytest.fixture
def flowers(template: Flowers, tmp_path: Path) -> Flowers:
    """A copy of the dataset, for the votes of one test."""
    places = {}
    for name in ("root", "photos", "store"):
        places[name] = tmp_path / name
        shutil.copytree(getattr(template, name), places[name])
    return replace(template, **places)


@pytest.fixture
def serve_votes() -> Iterator[Callable[..., str]]:
    """Serve the page of a dataset; return its address.

    A test names `visit` after this fixture, so that its pages are closed before the server ends.
    """
    with ExitStack() as stack:

        def start(flowers: Flowers, n_votes: int = 1, annotator: str | None = "Ann") -> str:
            places = (flowers.root, flowers.store, flowers.photos)
            annotation = stack.enter_context(open_annotation(NAME, *places, n_votes))
            return stack.enter_context(serve(make_pages(annotation, annotator, ENDING)))

        yield start


@pytest.fixture
def address(flowers: Flowers, serve_votes: Callable[..., str]) -> str:
    """The address of the page, on which Ann votes, and a candidate needs one vote."""
    return serve_votes(flowers)


@pytest.fixture
def open_address(flowers: Flowers, serve_votes: Callable[..., str]) -> str:
    """The address of the page that asks who votes."""
    return serve_votes(flowers, annotator=None)


def begin(visit: Visit, address: str, **how: object) -> Page:
    """Open a page that knows who votes."""
    page = visit.open(address, **how)
    expect_candidate(page)
    return page


def begin_as(visit: Visit, address: str, name: str, **how: object) -> Page:
    """Open a page, and say who votes."""
    page = visit.open(address, **how)
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Start").click()
    expect_candidate(page)
    return page


def expect_candidate(page: Page) -> None:
    """Expect that a candidate is shown, with its picture."""
    expect(page.locator("#ask")).to_contain_text("Does this picture show")
    picture = page.locator("#picture")
    expect(picture).to_be_visible()
    expect(picture).not_to_have_js_property("naturalWidth", 0)


def shown_id(page: Page, flowers: Flowers) -> str:
    """Return the id of the candidate that is shown."""
    row = re.search(r"(\d+)\.jpg", page.locator("#picture").get_attribute("src"))[1]
    web = tables.read_manifest(flowers.root / f"manifests/{NAME}/web.parquet", 3, web=True)
    return web["image_id"][int(row)].as_py()


def press(page: Page, flowers: Flowers, key: str) -> Vote:
    """Vote by a key; return the vote that should be saved."""
    vote = (shown_id(page, flowers), VERDICT_OF_KEY[key])
    page.keyboard.press(key)
    return vote


def expect_saved(page: Page) -> None:
    """Expect that no vote waits any more."""
    expect(page.locator("body")).to_have_attribute("data-waiting", "0")


def read_votes(flowers: Flowers) -> list[Vote]:
    """Return the votes on the disk."""
    web = tables.read_manifest(flowers.root / f"manifests/{NAME}/web.parquet", 3, web=True)
    votes = tables.read_votes(flowers.root / f"annotations/{NAME}/votes.parquet", web)
    return [(row["image_id"], row["correct"]) for row in votes.to_pylist()]


def vote_on_all(page: Page, flowers: Flowers) -> list[Vote]:
    """Vote yes until nothing is left; return the votes."""
    votes = []
    message = page.locator("#message")
    for _ in range(2 * N_CANDIDATES):
        expect(page.locator("#picture:visible, #message:text('Nothing is left')")).to_have_count(1)
        if "Nothing is left" in message.inner_text():
            break
        votes.append(press(page, flowers, "y"))
    expect(message).to_contain_text("Nothing is left for you to vote on")
    expect(message).to_contain_text("If candidates were fetched after `cnlw votes annotate` was")
    expect_saved(page)
    return votes


def walk(page: Page, flowers: Flowers) -> set[str]:
    """Pass all candidates without a vote; return their ids."""
    ids = set()
    for _ in range(2 * N_CANDIDATES):
        expect(page.locator("#picture:visible, #message:text('You passed')")).to_have_count(1)
        if page.locator("#picture").is_hidden():
            break
        ids.add(shown_id(page, flowers))
        page.keyboard.press("ArrowRight")
    return ids


FULL = (
    "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); };"
)
FORBIDDEN = """for (const kind of ["localStorage", "sessionStorage"]) {
  Object.defineProperty(window, kind, { get() { throw new DOMException("no", "SecurityError"); } });
}"""
DAMAGED = """for (const key of ["name", "outbox/x", "page", "history"]) {
  localStorage[`cnlw-votes/flowers/${key}`] = localStorage[`cnlw-votes/${key}`] = "{";
  sessionStorage[`cnlw-votes/flowers/${key}`] = sessionStorage[`cnlw-votes/${key}`] = "[";
}"""


@pytest.mark.parametrize("script", [FULL, FORBIDDEN, DAMAGED], ids=["full", "forbidden", "damaged"])
def test_a_browser_that_keeps_nothing_votes_all_the_same(address, flowers, visit, script):
    """Its storage is full, not allowed, or damaged; votes go to the server as ever."""
    page = visit.open_blank(address)
    page.add_init_script(script)
    page.goto(address)
    expect_candidate(page)
    votes = [press(page, flowers, "y")]
    expect_candidate(page)
    votes.append(press(page, flowers, "n"))
    expect_saved(page)
    assert sorted(votes) == sorted(read_votes(flowers))


def test_votes_by_keys(address, flowers, visit):
    """y, n and u vote, arrows move without a vote, z undoes; the disk has what the screen had."""
    page = begin(visit, address)
    votes = [press(page, flowers, key) for key in "ynu"]
    skipped = shown_id(page, flowers)
    page.keyboard.press("ArrowRight")
    assert shown_id(page, flowers) != skipped
    page.keyboard.press("ArrowLeft")
    assert shown_id(page, flowers) == skipped
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("button", name="Unsure")).to_have_attribute("aria-pressed", "true")
    votes[2] = press(page, flowers, "n")
    undone = press(page, flowers, "y")
    expect_saved(page)
    page.keyboard.press("z")
    assert shown_id(page, flowers) == undone[0] == skipped
    expect_saved(page)

    assert sorted(read_votes(flowers), key=str) == sorted(votes, key=str)
    assert len({image_id for image_id, _ in votes}) == 3


def test_undo_after_a_reload(address, flowers, visit):
    """The vote before the last one comes back, and then none."""
    page = begin(visit, address)
    changed = press(page, flowers, "u")
    page.keyboard.press("ArrowLeft")
    press(page, flowers, "n")
    expect_saved(page)
    page.reload()
    expect_candidate(page)
    page.keyboard.press("z")
    expect_saved(page)
    assert read_votes(flowers) == [changed]
    assert shown_id(page, flowers) == changed[0]
    page.keyboard.press("Backspace")
    expect_saved(page)
    assert read_votes(flowers) == []
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()


def test_every_button_is_reached_by_keys_alone(address, flowers, visit):
    """Tab goes to the buttons, which show the focus, and Enter presses them."""
    page = begin(visit, address)
    candidate = shown_id(page, flowers)
    seen = set()
    for _ in range(20):
        page.keyboard.press("Tab")
        focus = page.locator(":focus")
        if focus.count():
            seen.add(focus.inner_text().strip().split("\n")[0])
            assert focus.evaluate("element => getComputedStyle(element).outlineStyle") != "none"
        if focus.count() and focus.get_attribute("data-verdict") == "no":
            break
    assert {"Grid", "Ann"} <= seen
    page.keyboard.press("Enter")
    expect_saved(page)

    assert read_votes(flowers) == [(candidate, False)]


def test_the_page_asks_for_a_name_before_a_vote(open_address, flowers, visit):
    """Without a name, letters vote on nothing, and Escape does not close the question."""
    page = visit.open(open_address)
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("y")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_label("Name", exact=True).fill("consensus")
    page.keyboard.press("Enter")
    expect(
        page.get_by_role("alert").filter(has_text="stands for published verdicts")
    ).to_be_visible()
    page.get_by_label("Name", exact=True).fill("Ann")
    page.keyboard.press("Enter")
    visit.take("status of 400")
    expect_candidate(page)
    page.reload()
    expect_candidate(page)
    assert not (flowers.root / f"annotations/{NAME}/votes.parquet").exists()


def test_votes_by_touch(address, flowers, visit):
    """On a phone, fingers reach everything: buttons have 44 pixels, and undo works."""
    page = begin(visit, address, look=PHONE, touch=True)
    for button in page.get_by_role("button").all():
        box = button.bounding_box()
        assert min(box["width"], box["height"]) >= 44, button.inner_text()
    votes = []
    for name, verdict in (("Yes", True), ("No", False), ("Unsure", None), ("Yes", True)):
        votes.append((shown_id(page, flowers), verdict))
        page.get_by_role("button", name=name, exact=True).tap()
        expect_candidate(page)
    page.get_by_role("button", name="Undo").tap()
    assert shown_id(page, flowers) == votes.pop()[0]
    expect_saved(page)

    assert sorted(read_votes(flowers), key=str) == sorted(votes, key=str)


def test_a_reload_in_the_middle_loses_nothing(address, flowers, visit):
    """Votes before and after it are saved once each, dead ones and copies are never shown."""
    page = begin(visit, address)
    votes = [press(page, flowers, key) for key in "yny"]
    assert len({image_id[0] for image_id, _ in votes}) == 1  # of one class
    page.reload()
    expect_candidate(page)
    votes += vote_on_all(page, flowers)
    ending = page.locator("#message")
    expect(ending).to_contain_text("Red noise is possible up to 5 %.")
    expect(ending.locator("code")).to_have_text("cnlw votes report --dataset flowers")

    assert sorted(read_votes(flowers), key=str) == sorted(votes, key=str)
    shown = [image_id for image_id, _ in votes]
    assert len(set(shown)) == len(shown) == N_CANDIDATES
    assert not {*shown} & {*flowers.dead}
    for ids, copy in zip(flowers.candidates.values(), flowers.copies, strict=True):
        assert len({ids[0], copy} & {*shown}) == 1  # they look alike


def test_votes_that_wait_are_sent_after_a_reload(address, flowers, visit):
    """While no vote arrives, the page says so and keeps them; then each is saved once."""
    page = begin(visit, address)
    page.route("**/votes", lambda route: route.abort())
    votes = [press(page, flowers, key) for key in "yyn"]
    expect(page.get_by_role("alert").filter(has_text="3 votes are not saved yet")).to_be_visible()
    page.reload()
    others = walk(page, flowers)
    assert len(others) == N_CANDIDATES - 3
    assert not others & {*dict(votes)}
    page.unroute("**/votes")
    page.keyboard.press("ArrowLeft")
    expect_saved(page)
    votes.append(press(page, flowers, "y"))
    expect_saved(page)
    visit.take("ERR_FAILED")

    assert sorted(read_votes(flowers), key=str) == sorted(votes, key=str)


def test_a_vote_whose_answer_is_lost_counts_once(address, flowers, visit):
    """The server saved it, but the page never heard of it and sends it again."""
    page = begin(visit, address)
    answers: list[int] = []

    def lose(route: Route) -> None:
        answers.append(route.fetch().status)
        route.abort()

    page.route("**/votes", lose, times=1)
    votes = [press(page, flowers, "n")]
    expect(page.get_by_role("alert").filter(has_text="One vote is not saved")).to_be_visible()
    assert answers == [200]
    visit.take("ERR_FAILED")
    expect(page.get_by_role("alert").filter(has_text="One vote")).not_to_be_visible()
    expect_saved(page)

    assert read_votes(flowers) == votes


def test_a_vote_is_counted_at_once(address, visit):
    """The line of progress and the menu have it before the server does, and lose it by an undo."""
    page = begin(visit, address)
    progress = page.locator("#progress")
    expect(progress).to_have_text("0 of 12 votes; you: 0 votes, 12 to go")
    page.route("**/votes", lambda route: None)  # no answer comes
    for key, text in (
        ("y", "1 of 12 votes; you: 1 vote, 11 to go"),
        ("u", "1 of 12 votes; you: 2 votes, 10 to go"),
        ("z", "1 of 12 votes; you: 1 vote, 11 to go"),
        ("n", "2 of 12 votes; you: 2 votes, 10 to go"),
    ):
        page.keyboard.press(key)
        assert progress.inner_text() == text
    texts = page.locator("#class-menu option").all_inner_texts()
    assert sum("(2 of 4)" in text for text in texts) == 1


def test_a_server_that_was_started_anew(address, flowers, visit):
    """The page at the old address says so and stops; the one at the new address sends its votes."""
    page = begin(visit, address)
    page.route("**/votes", lambda route: route.fulfill(status=403, body="no valid token"))
    votes = [press(page, flowers, "y")]
    alert = page.get_by_role("alert").filter(has_text="The server was restarted")
    expect(alert).to_contain_text("One vote is not saved yet.")
    expect(alert).to_contain_text("open the new one that cnlw printed")
    page.route("**/pictures/*", lambda route: route.fulfill(status=403, body="no valid token"))
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(page.locator("#message")).to_contain_text("open the new one that cnlw printed")
    visit.take("status of 403")
    page.keyboard.press("n")
    other = page.context.new_page()
    other.goto(address)
    expect_candidate(other)
    expect_saved(other)

    assert read_votes(flowers) == votes
    votes.append(press(other, flowers, "n"))
    expect_saved(other)
    assert sorted(read_votes(flowers), key=str) == sorted(votes, key=str)
    visit.faults.clear()  # the old page asked for pictures ahead, too


def test_a_vote_that_is_refused_is_told(address, flowers, visit):
    """The sentence of the server stays, and the votes after it are saved."""
    page = begin(visit, address)
    answer = {"status": 400, "body": "There is no candidate with this image_id and label."}
    page.route("**/votes", lambda route: route.fulfill(**answer), times=1)
    press(page, flowers, "y")
    alert = page.get_by_role("alert").filter(has_text="A vote was refused: There is no candidate")
    expect(alert).to_be_visible()
    visit.take("status of 400")
    vote = press(page, flowers, "n")
    expect_saved(page)

    expect(alert).to_be_visible()
    assert read_votes(flowers) == [vote]


def test_two_people_at_once(flowers, serve_votes, visit):
    """They do not get the same candidate at the same time, and no vote of either is lost."""
    address = serve_votes(flowers, n_votes=2, annotator=None)
    pages = [begin_as(visit, address, name) for name in ("Ann", "Bob")]
    ids = [shown_id(page, flowers) for page in pages]
    assert ids[0] != ids[1]
    votes = []
    for page in pages * 3:
        votes.append(press(page, flowers, "y"))
        expect_candidate(page)
    for page in pages:
        votes += vote_on_all(page, flowers)

    assert sorted(read_votes(flowers), key=str) == sorted(votes, key=str)
    counts = Counter(image_id for image_id, _ in votes)
    assert set(counts.values()) == {2}
    assert len(counts) == N_CANDIDATES


def test_two_tabs_of_one_person(address, flowers, visit):
    """Both tabs save their votes; none is saved twice."""
    page = begin(visit, address)
    votes = [press(page, flowers, "y")]
    other = page.context.new_page()
    other.goto(address)
    expect_candidate(other)
    for tab in (other, page, other, page):
        votes.append(press(tab, flowers, "n"))
        expect_candidate(tab)
    for tab in (page, other):
        expect_saved(tab)

    saved = dict(read_votes(flowers))
    assert saved == dict(votes)


class Command:
    """`cnlw votes annotate` in a process of its own."""

    def __init__(self, flowers: Flowers) -> None:
        places = ["--root", flowers.root, "--store", flowers.store, "--votes", "1"]
        command = [sys.executable, "-m", "cnlw_tools", "votes", "annotate", "--dataset", NAME]
        self.process = subprocess.Popen(
            [*command, *map(str, places)], stdout=subprocess.PIPE, text=True
        )
        self.address = self.process.stdout.readline().split()[-1]

    def end(self, number: signal.Signals) -> int:
        """Send a signal; return how the process ended."""
        self.process.send_signal(number)
        self.process.communicate(timeout=30)
        return self.process.returncode


@pytest.mark.slow
def test_a_killed_server_loses_no_vote(flowers, visit):
    """Votes that were answered are on the disk; votes after the kill wait for the next server."""
    command = Command(flowers)
    page = begin_as(visit, command.address, "Ann")
    votes = [press(page, flowers, "y"), press(page, flowers, "n")]
    expect_saved(page)
    assert command.end(signal.SIGKILL) == -signal.SIGKILL
    assert sorted(read_votes(flowers), key=str) == sorted(votes, key=str)
    votes += [press(page, flowers, "y"), press(page, flowers, "y")]
    alert = page.get_by_role("alert").filter(has_text="2 votes are not saved yet")
    expect(alert).to_contain_text("The server cannot be reached")
    visit.take("ERR_CONNECTION_REFUSED")
    command = Command(flowers)
    assert command.address != page.url
    page.goto(command.address)
    expect_saved(page)
    expect_candidate(page)
    votes.append(press(page, flowers, "n"))
    expect_saved(page)
    visit.faults.clear()  # the page asked again and again

    assert command.end(signal.SIGTERM) == 0
    assert len(dict(votes)) == 5  # nobody was asked twice
    assert sorted(read_votes(flowers), key=str) == sorted(votes, key=str)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Flowers:
    """A class of 10,000 candidates, and two classes of one."""
    folder = tmp_path_factory.mktemp("many")
    small = make_flowers(folder, 0)
    ids = {0: [f"a{i}" for i in range(MANY)], 1: ["b"], 2: ["c"]}
    return add_candidates(small.root, small.photos, folder / "large", ids)


def test_ten_thousand_candidates_scroll(many, serve_votes, capsys, visit):
    """The grid of a class holds few cells at a time; the time of a frame is printed."""
    page = begin(visit, serve_votes(many))
    page.get_by_label("Class", exact=True).select_option("0")
    page.get_by_role("button", name="Grid").click()
    expect(page.locator("#grid .cell img").first).to_be_visible()
    times, most = page.evaluate(SCROLL)
    with capsys.disabled():
        times.sort()
        print(f"\n10,000 candidates: frame {times[6]:.0f} ms, longest {times[-1]:.0f} ms")  # noqa: T201
    assert 10 < most <= 100
    page.keyboard.press("End")
    expect(page.locator(f".cell[data-index='{MANY - 1}'] img")).to_be_visible()
    page.keyboard.press("y")
    expect_saved(page)
    assert len(read_votes(many)) == 1


def test_the_grid_of_a_class(address, flowers, visit):
    """Keys vote on the cell with the focus, which moves on; a second tap shows it large."""
    page = begin(visit, address)
    page.get_by_label("Class", exact=True).select_option("1")
    page.keyboard.press("g")
    cells = page.locator("#grid .cell:not([hidden])")
    expect(cells).to_have_count(EACH)
    for key in "yn":
        page.keyboard.press(key)
    expect(cells.nth(0)).to_have_attribute("data-voted", "yes")
    expect(cells.nth(1)).to_have_attribute("data-voted", "no")
    expect(page.locator(".cell.focused")).to_have_attribute("data-index", "2")
    page.keyboard.press("z")
    expect(cells.nth(1)).to_have_attribute("data-voted", "")
    expect_saved(page)

    (vote,) = read_votes(flowers)
    assert vote[0] in {*flowers.candidates[1], *flowers.copies}
    assert vote[1] is True
    focused = page.locator(".row:not([hidden]) .cell.focused img")
    address_of_thumbnail = focused.get_attribute("src")
    page.keyboard.press("Enter")
    expect_candidate(page)
    page.keyboard.press("Escape")
    expect(page.locator("#grid .cell[data-voted='yes']")).to_have_attribute("data-index", "3")
    expect(focused).to_have_attribute("src", address_of_thumbnail)


def test_the_grid_has_open_candidates_first(flowers, serve_votes, visit):
    """Those that have all their votes come last, and say so."""
    address = serve_votes(flowers, annotator=None)
    voter = begin_as(visit, address, "Bob")
    voted = press(voter, flowers, "y")[0]
    expect_saved(voter)
    page = begin_as(visit, address, "Ann")
    page.get_by_label("Class", exact=True).select_option(voted[0])
    page.keyboard.press("g")
    cells = page.locator("#grid .cell:not([hidden])")
    expect(cells).to_have_count(EACH)
    expect(page.locator("#grid .cell[data-done='true']")).to_have_count(1)
    expect(cells.nth(EACH - 1)).to_have_attribute("data-done", "true")
    expect(cells.nth(EACH - 1)).to_have_text("has enough votes")
    expect(page.locator("#grid-examples img")).to_have_count(3)


def test_a_reload_finds_class_and_grid_again(address, visit):
    """They are in the address; after the grid of a class that nobody chose, all are back."""
    page = begin(visit, address)
    menu = page.get_by_label("Class", exact=True)
    page.keyboard.press("g")
    page.keyboard.press("g")
    expect(menu).to_have_value("")
    page.keyboard.press("g")
    expect(page.locator("#grid .cell img").first).to_be_visible()
    label = menu.input_value()
    assert label != ""
    page.reload()
    expect(page.locator("#grid .cell img").first).to_be_visible()
    expect(menu).to_have_value(label)
    expect(page.get_by_role("button", name="Grid")).to_have_attribute("aria-pressed", "true")
    menu.select_option("")
    expect_candidate(page)
    assert page.url == address


def test_the_page_fits_every_screen(open_address, visit):
    """Question, grid and the dialog are no wider than the screen, and every text can be read."""
    page = visit.open(open_address)
    for look in LOOKS:
        wear(page, look)
        expect_fit(page, f"votes_name_{look}", look)
    page.get_by_label("Name", exact=True).fill("Ann")
    page.keyboard.press("Enter")
    expect_candidate(page)
    page.keyboard.press("y")
    expect_saved(page)
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#examples img")).to_have_count(3)
    for look in LOOKS:
        wear(page, look)
        expect_fit(page, f"votes_{look}", look)
        expect(page.get_by_role("button", name="Yes", exact=True)).to_be_in_viewport(ratio=1)
        expect(page.locator("#picture")).to_be_in_viewport(ratio=1)
        assert page.locator("#picture").bounding_box()["height"] > 200
    for look in (LANDSCAPE, LOW, TABLET):
        wear(page, look)
        expect_fit(page, f"votes_{look.width}x{look.height}", look)
        expect(page.locator("#ask")).to_be_in_viewport(ratio=1)
        for name in ("Yes", "No", "Unsure", "Undo"):
            expect(page.get_by_role("button", name=name, exact=True)).to_be_in_viewport(ratio=1)
    assert page.locator("#picture").bounding_box()["width"] > 700
    page.get_by_role("button", name="Ann").click()
    page.get_by_role("button", name="Cancel").click()
    page.keyboard.press("g")
    expect(page.locator("#grid .cell img").first).to_be_visible()
    for look in (*LOOKS, LANDSCAPE, LOW, TABLET):
        wear(page, look)
        expect_fit(page, f"votes_grid_{look.width}x{look.height}_{look.scheme}", look)


def expect_fit(page: Page, name: str, look: Look) -> None:
    """Expect a page without an overflow and with texts that can be read; take its picture."""
    page.wait_for_load_state("networkidle")
    shoot(page, name, whole=False)
    assert (overflow(page), faint_texts(page)) == (0, []), look
    assert clipped_texts(page.locator("body")) == [], look


def test_names_and_ids_are_text(tmp_path, serve_votes, visit):
    """Tags, quotes, marks of direction, paths and 300 letters neither run nor lead elsewhere."""
    plain = make_flowers(tmp_path, 0)
    rename_classes(plain, EVIL_NAMES)
    ids = {
        0: ["../../../etc/passwd", "<img src=x onerror=alert(1)>"],
        1: ["'\"><script>alert(1)</script>", "\u202egpj.a"],
        2: ["x" * 300, "%2e%2e%2fa?b#c"],
    }
    flowers = add_candidates(plain.root, plain.photos, tmp_path / "other", ids)
    address = serve_votes(flowers, annotator=None)
    page = begin_as(visit, address, "<b>Ann</b>", look=Look(360, 640, "light"))
    expect(page.get_by_role("button", name="<b>Ann</b>")).to_be_visible()
    questions = set()
    votes = []
    for _ in range(6):
        expect_candidate(page)
        questions.add(page.locator("#ask").inner_text())
        assert overflow(page) == 0
        assert page.locator("#picture").bounding_box()["height"] > 120
        votes.append(press(page, flowers, "y"))
    expect_saved(page)

    assert questions == {f"Does this picture show: {name}?" for name in EVIL_NAMES}
    assert {image_id for image_id, _ in votes} == {i for several in ids.values() for i in several}
    assert sorted(read_votes(flowers), key=str) == sorted(votes, key=str)


def test_an_inline_script_does_not_run(address, visit):
    """Every answer forbids it, and the browser obeys."""
    for path in (f"/{TOKEN}/", f"/{TOKEN}/progress?name=a", f"/{TOKEN}/pictures/0.jpg", "/"):
        headers = ask(address, path).headers
        assert {name: headers[name] for name in HEADERS} == HEADERS
    page = visit.open(address, DESK)
    for script in (
        "const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
        "document.body.append(s)",
        "document.body.insertAdjacentHTML('beforeend', '<img src=static/x onerror=\"ran = 1\">')",
        "document.body.insertAdjacentHTML('beforeend', '<img src=http://127.0.0.1:9/x>')",
    ):
        page.evaluate(script)
        visit.take("Content Security Policy")
    visit.take("status of 404")  # of static/x

    assert page.evaluate("window.ran") is None


def test_strangers_and_path_tricks(address, flowers):
    """Without the token nobody sees or votes; numbers and names that are none lead nowhere."""
    body = b'{"name": "Eve", "votes": []}'
    for path in ("/", "/pictures/0.jpg", f"/{TOKEN[1:]}/", f"/x/../{TOKEN}/"):
        assert ask(address, path).status == 403, path
        assert ask(address, f"{path}votes", "POST", body).status == 403, path
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost:1"):
        expected = 403
        assert ask(address, f"/{TOKEN}/", Host=host).status == expected, host
        assert ask(address, f"/{TOKEN}/votes", "POST", body, Host=host).status == expected
    names = ["99999", "-1", "../0", "%2e%2e%2f0", "..%5c0", "/etc/passwd", "0%00", "9" * 5000]
    for folder in ("pictures", "thumbnails", "photographs", "static"):
        for name in names:
            answer = ask(address, f"/{TOKEN}/{folder}/{name}.jpg")
            assert answer.status == 404, (folder, name)
            assert "root:" not in answer.text
    assert not (flowers.root / "annotations" / NAME / "votes.parquet").exists()


@pytest.mark.parametrize(
    ("image_id", "label"),
    [("../../passwd", 0), ("0-00000", 9), ("0-00000\0", 0), ("x" * 5000, 0), ("0-dead", 0)],
)
def test_a_vote_on_no_candidate_is_refused(address, flowers, image_id, label):
    """One sentence says so, and nothing is written."""
    vote = {"image_id": image_id, "label": label, "verdict": "yes"}
    body = json.dumps({"name": "Ann", "votes": [vote]}).encode()
    answer = ask(address, f"/{TOKEN}/votes", "POST", body)

    assert answer.status == 400
    assert "candidate" in answer.text
    assert not (flowers.root / "annotations" / NAME / "votes.parquet").exists()
