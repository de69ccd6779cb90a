"""The gallery of a build in a browser, served and as a folder."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from cnlw_tools.browser.gallery import GalleryOptions, make_gallery
from cnlw_tools.browser.picture_pages import make_pages
from cnlw_tools.browser.review import make_review
from cnlw_tools.browser.static_folder import write_folder
from cnlw_tools.browser.store_page import make_store_page
from cnlw_tools.builds.build import build
from cnlw_tools.dataset.dataset import read_dataset
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import parse_recipe
from cnlw_tools.store.store import Store
from tests.browser.chromium import (
    LOOKS,
    PHONE,
    Look,
    clipped_texts,
    faint_texts,
    overflow,
    shoot,
    wear,
)
from tests.browser.flowers import EVIL_NAMES, make_flowers, rename_classes
from tests.browser.serving import TOKEN, ask, serve

FRAGMENTS = (
    "noisy=nothing&sort=nothing&size=nothing&picture=99999999",
    "picture=-1&picture=NaN&given=<img src=x onerror=alert(1)>",
    "%E0%A4%A&&==&__proto__=x&constructor=y",
)
KEYS = {"dataset": "shapes", "noise": "red", "levels": [40]}


@pytest.fixture(scope="module")
def red_build(tmp_path_factory: pytest.TempPathFactory, tiny: Callable[[Path], Path]) -> Path:
    """A build of shapes: 240 rows, 80 of them wrong web images."""
    folder = tmp_path_factory.mktemp("gallery")
    build(parse_recipe(KEYS, "the test"), Inputs(tiny(folder / "root")), folder / "build")
    return folder / "build"


@pytest.fixture(scope="module")
def served(red_build: Path) -> Iterator[str]:
    """The address of its gallery."""
    items, pictures = make_gallery(red_build, GalleryOptions())
    with serve(make_pages(items, pictures)) as address:
        yield address


@pytest.fixture(scope="module")
def folder_page(red_build: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of its gallery as a folder."""
    out = tmp_path_factory.mktemp("static") / "gallery"
    write_folder(out, *make_gallery(red_build, GalleryOptions()))
    return (out / "index.html").as_uri()


@pytest.fixture(scope="module")
def review(tmp_path_factory: pytest.TempPathFactory, tiny: Callable[[Path], Path]) -> Iterator[str]:
    """The address of the page of the votes on the candidates of shapes."""
    inputs = Inputs(tiny(tmp_path_factory.mktemp("review") / "root"))
    recipe = parse_recipe(KEYS, "the test")
    with serve(
        make_pages(*make_review(read_dataset("shapes", inputs.root), recipe, inputs))
    ) as url:
        yield url


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the page of a store, with images and dead links."""
    flowers = make_flowers(tmp_path_factory.mktemp("store"), 12)
    with (
        Store(flowers.store) as images,
        serve(make_pages(*make_store_page(images))) as address,
    ):
        yield address


@pytest.fixture(params=["served", "folder_page"])
def gallery(request: pytest.FixtureRequest) -> str:
    """The address of either."""
    return request.getfixturevalue(request.param)


def choice(page: Page, name: str) -> Locator:
    """Return the menu of this name."""
    return page.get_by_role("combobox", name=name, exact=True, include_hidden=True)


def n_shown(page: Page) -> int:
    """Return how many pictures match the filters, as the page says."""
    return int(page.locator("#count").inner_text().split(" of ")[0].replace(",", ""))


def expect_loaded(page: Page) -> None:
    """Expect that every picture which can be seen is there."""
    pictures = ".cell:not([hidden]):not(.empty) img"
    expect(page.locator(pictures).first).to_be_visible()
    script = (
        "s => [...document.querySelectorAll(s)].every(i => !i.checkVisibility() || i.naturalWidth)"
    )
    page.wait_for_function(script, arg=pictures)


def test_filters_stay_in_the_address(visit, gallery):
    """What is chosen is in the fragment; a reload shows the same, and going on from there works."""
    page = visit.open(gallery)
    n_all = n_shown(page)
    expect_loaded(page)
    choice(page, "Given label").select_option("wrong")
    n_wrong = n_shown(page)
    choice(page, "Order").select_option("given")
    assert 0 < n_wrong < n_all
    assert "noisy=wrong" in page.url

    page.reload()
    assert n_shown(page) == n_wrong
    expect(choice(page, "Given label")).to_have_value("wrong")
    expect(choice(page, "Order")).to_have_value("given")
    expect_loaded(page)
    page.get_by_role("button", name="Clear").click()
    assert n_shown(page) == n_all


def test_a_search_without_a_match_says_so(visit, served):
    """One button shows all again."""
    page = visit.open(served)
    n_all = n_shown(page)
    page.get_by_label("Search ids").fill("no such id")
    expect(page.get_by_text("No picture matches these filters.")).to_be_visible()
    page.get_by_role("button", name="Show all").click()

    assert n_shown(page) == n_all
    expect(page.get_by_label("Search ids")).to_have_value("")


def test_the_viewer_is_in_the_address(visit, served):
    """Enter opens the picture of the focus; a reload opens it again; Esc returns to the grid."""
    page = visit.open(served)
    page.get_by_role("grid").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.keyboard.press("ArrowRight")
    text = dialog.inner_text()
    assert re.search(r"picture=\d+", page.url)

    page.reload()
    expect(dialog).to_be_visible()
    assert dialog.inner_text() == text
    page.wait_for_load_state("networkidle")
    assert dialog.locator("img").evaluate("picture => picture.naturalWidth") > 0
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
    assert "picture=" not in page.url
    expect(page.locator(".cell.focused")).to_have_attribute("data-index", "2")


def test_the_gallery_works_by_touch(visit, folder_page):
    """On a phone, filters are behind a button, and a tap opens a picture."""
    page = visit.open(folder_page, PHONE, touch=True)
    filters = page.get_by_role("button", name="Filters")
    expect(choice(page, "Given label")).not_to_be_visible()
    filters.tap()
    choice(page, "Given label").select_option("wrong")
    expect(filters).to_have_text("Filters (1)")
    filters.tap()
    expect(choice(page, "Given label")).not_to_be_visible()
    page.locator(".cell[data-index='0']").tap()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_role("button", name="Close").tap()
    expect(page.get_by_role("dialog")).not_to_be_visible()


def test_the_review_of_votes(visit, review):
    """It filters by verdict, tie and annotator, and says what each annotator answered."""
    page = visit.open(review)
    n_all = n_shown(page)
    choice(page, "Order").select_option(label="disagreement, most first")
    choice(page, "Verdict").select_option("does not show it")
    n_wrong = n_shown(page)
    assert 0 < n_wrong < n_all
    annotators = choice(page, "Annotator").locator("option").all()
    choice(page, "Annotator").select_option(annotators[1].get_attribute("value"))
    n_of_annotator = n_shown(page)
    assert 0 < n_of_annotator < n_wrong
    page.reload()
    assert n_shown(page) == n_of_annotator
    page.locator(".cell").first.click()
    name = annotators[1].get_attribute("value")
    expect(page.get_by_role("dialog")).to_contain_text(re.compile(f"{re.escape(name)}: (yes|no)"))


@pytest.mark.parametrize("kind", ["review", "store"])
def test_other_pages_of_pictures_fit_every_screen(visit, kind, request):
    """The pages of votes and of a store are no wider than the screen, and can be read."""
    page = visit.open(request.getfixturevalue(kind))
    for look in LOOKS:
        wear(page, look)
        expect_loaded(page)
        open_filters(page, look)
        assert (overflow(page), faint_texts(page)) == (0, []), look
        assert clipped_texts(page.locator("header")) == [], look
        shoot(page, f"{kind}_{look}", whole=False)
        open_filters(page, look)


def open_filters(page: Page, look: Look) -> None:
    """Open the filters where they are behind a button."""
    if look.width == PHONE.width:
        page.get_by_role("button", name="Filters").click()


def test_the_gallery_fits_every_screen(visit, served):
    """Grid, filters and viewer are no wider than the screen, and every text can be read."""
    page = visit.open(served)
    for look in LOOKS:
        wear(page, look)
        expect_loaded(page)
        assert (overflow(page), faint_texts(page)) == (0, []), look
        shoot(page, f"gallery_{look}", whole=False)
        open_filters(page, look)
        assert (overflow(page), faint_texts(page)) == (0, []), look
        assert clipped_texts(page.locator("header")) == [], look
        shoot(page, f"gallery_filters_{look}", whole=False)
        open_filters(page, look)
        page.locator(".cell[data-index='1']").click()
        page.wait_for_load_state("networkidle")
        assert (overflow(page), faint_texts(page)) == (0, []), look
        assert clipped_texts(page.get_by_role("dialog")) == [], look
        shoot(page, f"gallery_viewer_{look}", whole=False)
        page.keyboard.press("Escape")


def test_names_are_text(visit, tmp_path):
    """Names with tags, quotes, marks of direction or 300 letters are shown as they are."""
    flowers = make_flowers(tmp_path)
    rename_classes(flowers, EVIL_NAMES)
    keys = {"dataset": "flowers", "noise": "blue", "levels": [40]}
    inputs = Inputs(flowers.root, data_dir=flowers.photos)
    build(parse_recipe(keys, "the test"), inputs, tmp_path / "build")
    out = tmp_path / "gallery"
    write_folder(out, *make_gallery(tmp_path / "build", GalleryOptions()))
    page = visit.open((out / "index.html").as_uri(), PHONE)
    options = choice(page, "Given class").locator("option").all_text_contents()

    for name in EVIL_NAMES:
        assert any(option.startswith(name.strip()) for option in options), name
    page.get_by_role("button", name="Filters").click()
    choice(page, "Given class").select_option(EVIL_NAMES[0])
    assert overflow(page) == 0
    page.get_by_role("button", name="Filters").click()
    page.locator(".cell").first.click()
    expect(page.get_by_role("dialog")).to_have_accessible_name(EVIL_NAMES[0])
    assert overflow(page) == 0
    page.reload()
    expect(page.get_by_role("dialog")).to_have_accessible_name(EVIL_NAMES[0])


def test_an_address_from_elsewhere_does_no_harm(visit, served):
    """A fragment that no page writes leaves a page that works."""
    page = visit.open(served)
    for fragment in FRAGMENTS:
        page.goto(f"{served}#{fragment}")
        page.reload()
        expect(choice(page, "Order")).to_be_visible()
        clear = page.get_by_role("button", name="Clear", exact=True)
        if clear.is_enabled():
            clear.click()
        assert n_shown(page) > 100


def test_strangers_see_no_picture(served, red_build):
    """Neither without the token, nor for another host, nor by a path out of the folder."""
    picture = f"/{TOKEN}/pictures/0.jpg"
    assert ask(served, picture).status == 200
    assert ask(served, "/pictures/0.jpg").status == 403
    assert ask(served, f"/{TOKEN[:-1]}x/pictures/0.jpg").status == 403
    assert ask(served, picture, Host="evil.example").status == 403
    n_rows = json.loads(ask(served, f"/{TOKEN}/items.js").text[len("const ITEMS = ") : -2])["count"]
    names = [str(n_rows), "-1", "../0", "%2e%2e%2f0", "%2e%2e/0", "/etc/passwd", "0%00", "9" * 5000]
    for folder in ("pictures", "thumbnails"):
        for name in names:
            answer = ask(served, f"/{TOKEN}/{folder}/{name}.jpg")
            assert answer.status == 404, name
            assert "passwd" not in answer.text
