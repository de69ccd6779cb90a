"""The grid of pictures, and the viewer, in a page of 10,000 pictures."""

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from cnlw_tools.browser.app import STATIC
from tests.browser.chromium import DESK, LOOKS, PHONE, clipped_texts, overflow, wear
from tests.browser.flowers import draw

N_CELLS = 10_000
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Pictures</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="page.css"><link rel="stylesheet" href="grid.css">
<style>body { height: 100vh } #pictures { height: 90vh }</style>
<script src="grid.js" defer></script><script src="viewer.js" defer></script>
<script src="show.js" defer></script>
<body><h1>Pictures</h1><div id="pictures" aria-label="Pictures"></div>
"""
SCRIPT = """
const viewer = new PictureViewer({
  count: %d,
  address: index => `${index %% 8}.jpg`,
  draw(viewer, index) { viewer.title.textContent = `picture ${index}`; },
  close(index) { grid.focus(index); },
});
const grid = new PictureGrid(document.getElementById("pictures"), {
  count: %d,
  drawCell(cell, index) {
    cell.showPicture(`${index %% 8}.jpg`);
    cell.caption.textContent = `picture ${index}`;
  },
  openCell(index) { viewer.open(index); },
});
"""
SCROLL = """async () => {
  const box = document.getElementById("pictures");
  const nextFrame = () => new Promise(requestAnimationFrame);
  const times = [];
  let most = 0;
  let last = await nextFrame();
  for (let i = 1; i <= 60; i += 1) {
    box.scrollTop = (box.scrollHeight - box.clientHeight) * i / 60;
    const now = await nextFrame();
    times.push(now - last);
    last = now;
    most = Math.max(most, document.querySelectorAll(".cell").length);
  }
  return [times, most];
}"""
SHOWN = """() => {
  const box = document.getElementById("pictures").getBoundingClientRect();
  const shown = [];
  for (const cell of document.querySelectorAll(".cell")) {
    const place = cell.getBoundingClientRect();
    const isInside = place.bottom > box.top && place.top < box.bottom && place.height > 0;
    if (isInside) shown.push([Number(cell.dataset.index), cell.querySelector(".caption").textContent]);
  }
  return shown.sort((a, b) => a[0] - b[0]);
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with the scripts and styles of the package, and eight pictures."""
    folder = tmp_path_factory.mktemp("grid")
    for name in ("page.css", "grid.css", "grid.js", "viewer.js"):
        shutil.copy(STATIC / name, folder)
    for number in range(8):
        (folder / f"{number}.jpg").write_bytes(draw(number, number))
    write_page(folder, N_CELLS)
    return folder


def write_page(folder: Path, count: int) -> str:
    """Write a page of so many pictures; return its address."""
    (folder / "show.js").write_text(SCRIPT % (count, count), encoding="utf-8")
    (folder / "index.html").write_text(PAGE, encoding="utf-8")
    return (folder / "index.html").as_uri()


def shown(page: Page) -> list[int]:
    """Return the indices of the cells that can be seen; each has the caption of its index."""
    cells = page.evaluate(SHOWN)
    assert all(caption == f"picture {index}" for index, caption in cells)
    return [index for index, _ in cells]


def test_ten_thousand_pictures_scroll(visit, folder, capsys):
    """From the first to the last, the document holds few cells; the time of a frame is printed."""
    page = visit.open((folder / "index.html").as_uri())
    times, most = page.evaluate(SCROLL)
    with capsys.disabled():
        times.sort()
        print(f"\n10,000 pictures: frame {times[30]:.0f} ms, longest {times[-1]:.0f} ms")  # noqa: T201

    n_shown = len(shown(page))
    assert 10 < n_shown <= most <= 100
    assert shown(page)[-1] == N_CELLS - 1


@pytest.mark.parametrize("look", [DESK, PHONE], ids=str)
def test_every_place_shows_its_pictures(visit, folder, look):
    """Wherever it is scrolled, the cells that are seen follow each other without a gap."""
    page = visit.open((folder / "index.html").as_uri(), look)
    seen = []
    for share in (0, 0.31, 0.5, 0.997, 1, 0.2):
        page.evaluate(
            "share => new Promise(done => { const box = document.getElementById('pictures');"
            "box.scrollTop = share * (box.scrollHeight - box.clientHeight);"
            "requestAnimationFrame(() => requestAnimationFrame(done)) })",
            share,
        )
        indices = shown(page)
        assert indices == list(range(indices[0], indices[-1] + 1))
        seen.append(indices[0])

    assert seen[0] == 0
    assert seen == [*sorted(seen[:5]), seen[5]]
    assert 0.25 < seen[1] / N_CELLS < 0.35


def test_keys_move_the_focus(visit, folder):
    """Arrows, Home, End and pages; the grid says which cell has the focus, and shows it."""
    page = visit.open((folder / "index.html").as_uri())
    grid = page.get_by_role("grid")
    n_columns = int(grid.get_attribute("aria-colcount"))
    grid.focus()
    place = 0
    for key, step in [
        ("ArrowRight", 1),
        ("ArrowDown", n_columns),
        ("ArrowDown", n_columns),
        ("ArrowLeft", -1),
        ("ArrowUp", -n_columns),
    ]:
        page.keyboard.press(key)
        place += step
        expect(page.locator(".cell.focused")).to_have_attribute("data-index", str(place))
    page.keyboard.press("End")
    expect(page.locator(".cell.focused")).to_have_attribute("data-index", str(N_CELLS - 1))
    expect(page.locator(".cell.focused")).to_be_in_viewport()
    assert grid.get_attribute("aria-activedescendant") == page.locator(".focused").get_attribute(
        "id"
    )
    page.keyboard.press("Home")
    expect(page.locator(".cell.focused")).to_have_attribute("data-index", "0")


def test_the_viewer_opens_and_closes_by_keys(visit, folder):
    """Enter opens the picture of the focus, arrows go on, and Esc returns to the grid there."""
    page = visit.open((folder / "index.html").as_uri())
    page.get_by_role("grid").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_have_accessible_name("picture 1")
    expect(dialog).to_contain_text("2 of 10,000")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(dialog).to_have_accessible_name("picture 3")
    page.keyboard.press("Escape")

    expect(dialog).not_to_be_visible()
    expect(page.locator(".cell.focused")).to_have_attribute("data-index", "3")
    expect(page.get_by_role("grid")).to_be_focused()


def test_the_viewer_follows_a_finger(visit, folder):
    """A tap opens, a swipe goes on or back, and a swipe downwards closes."""
    page = visit.open((folder / "index.html").as_uri(), PHONE, touch=True)
    page.locator(".cell[data-index='1']").tap()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_have_accessible_name("picture 1")
    swipe(page, -120, 0)
    expect(dialog).to_have_accessible_name("picture 2")
    swipe(page, 120, 0)
    expect(dialog).to_have_accessible_name("picture 1")
    for button in dialog.get_by_role("button").all():
        box = button.bounding_box()
        assert min(box["width"], box["height"]) >= 44
    swipe(page, 0, 200)

    expect(dialog).not_to_be_visible()


def swipe(page: Page, right: int, down: int) -> None:
    """Move a finger over the middle of the picture."""
    session = page.context.new_cdp_session(page)
    x, y = 195 - right // 2, 250 - down // 2
    points = [(x, y), (x + right // 2, y + down // 2), (x + right, y + down)]
    for kind, (left, top) in zip(("touchStart", "touchMove", "touchMove"), points, strict=True):
        point = {"x": left, "y": top}
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    session.detach()


def test_grid_and_viewer_fit_every_screen(visit, folder):
    """Nothing is wider than the screen."""
    page = visit.open((folder / "index.html").as_uri())
    for look in LOOKS:
        wear(page, look)
        assert overflow(page) == 0
        assert clipped_texts(page.locator("body")) == []
        page.locator(".cell").first.click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert overflow(page) == 0
        page.keyboard.press("Escape")


def test_a_million_pictures_have_a_last_one(visit, folder, tmp_path):
    """No element of a browser is as high as their rows, so the grid scales."""
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "show.js").unlink()
    (tmp_path / "index.html").unlink()
    page = visit.open(write_page(tmp_path, 1_000_000), PHONE)
    page.get_by_role("grid").focus()
    page.keyboard.press("End")
    expect(page.locator(".cell.focused")).to_have_attribute("data-index", "999999")
    assert shown(page)[-1] == 999_999
    page.keyboard.press("ArrowUp")
    expect(page.locator(".cell.focused")).to_be_in_viewport()
    assert len(page.locator(".cell").all()) < 100
