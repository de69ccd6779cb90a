"""The page of `cnlw report`, as a browser shows it."""

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from cnlw_tools import files
from cnlw_tools.reports import write
from cnlw_tools.reports.diagnostics import Diagnostics
from cnlw_tools.reports.misjudged import MisjudgedGallery, MisjudgedImage
from cnlw_tools.study.spec import Published
from tests.browser.chromium import (
    DESK,
    LOOKS,
    PHONE,
    clipped_texts,
    faint_texts,
    overflow,
    shoot,
    wear,
)
from tests.reports.conftest import make_spec, make_study
from tests.reports.test_write import write_study


def picture(side: int, width: int = 1) -> Image.Image:
    """Return a picture of noise, some sides wide."""
    pixels = np.random.default_rng(0).integers(0, 256, (side, width * side, 3), np.uint8)
    return Image.fromarray(pixels)


def misjudged(title: str) -> MisjudgedGallery:
    """Return a gallery of images with a long class name."""
    images = []
    for name in ("cup", "Siberian husky, or a dog that looks like one"):
        images.append(MisjudgedImage(picture(96), True, name, "mug", 1.25))
    return MisjudgedGallery(title, "blue_40/vanilla_s0", images, images)


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> str:
    """The address of a page with every section: results, figures, images and matrices."""
    folder = tmp_path_factory.mktemp("report")
    make_study(folder / "runs")
    specs = []
    for config in ("blue_00", "blue_40"):
        for method in ("vanilla", "mixup", "bootstrap"):
            specs.append(make_spec(config, method))
    table = Published("ncr_mini_imagenet_blue", {"40": "blue_40"}, {"Standard": "vanilla"})
    write_study(folder / "runs", specs, published=(table,), notes=("One more thing.",))
    diagnostics = Diagnostics(
        matrices=[("toy, blue_40", picture(128))], galleries=[("toy, blue_40", picture(128, 8))]
    )
    galleries = [misjudged("Vanilla on toy, blue_40"), misjudged("Mixup on toy, blue_40")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "make_diagnostics", lambda context: diagnostics)
        patch.setattr(write, "show_misjudged", lambda context: (galleries, ["One note."]))
        write.write_report(folder / "runs", folder / "out", files.default_root())
    return (folder / "out" / "index.html").as_uri()


def test_the_report_fits_every_screen(visit, report):
    """It asks for nothing, is no wider than a phone, and can be read in the light and in the dark."""
    page = visit.open(report)
    backgrounds = {}
    for look in LOOKS:
        wear(page, look)
        assert overflow(page) == 0, look
        assert clipped_texts(page.locator("body")) == [], look
        assert faint_texts(page) == [], look
        style = "getComputedStyle(document.body).backgroundColor"
        backgrounds[look.scheme] = page.evaluate(style)
        shoot(page, f"report_{look}")

    assert backgrounds == {"light": "rgb(255, 255, 255)", "dark": "rgb(24, 24, 27)"}
    assert page.evaluate("performance.getEntriesByType('resource').length") == 0


def test_every_picture_of_the_report_loads_and_has_a_text(visit, report):
    """The browser can draw them all."""
    page = visit.open(report)
    script = "all => all.map(i => i.complete && i.naturalWidth > 0 && i.alt.trim() !== '')"
    loaded = page.locator("img").evaluate_all(script)

    assert len(loaded) > 10
    assert all(loaded)


def test_tables_of_the_report_can_be_read_on_a_phone(visit, report):
    """A table that is wider than the screen is a list of its cells, each with its heading."""
    page = visit.open(report, PHONE)
    for table in page.locator("table:visible").all():
        box = table.bounding_box()
        if "listed" in (table.get_attribute("class") or ""):
            headings = "all => all.map(cell => getComputedStyle(cell, '::before').content)"
            cells = table.locator("td:not(.empty)")
            assert "none" not in cells.evaluate_all(headings)
            assert box["width"] <= PHONE.width
        sizes = "all => all.map(cell => parseFloat(getComputedStyle(cell).fontSize))"
        assert min(table.locator("td").evaluate_all(sizes)) >= 12


def test_details_of_the_report_open_by_keyboard(visit, report):
    """The summary takes the focus in the order of the page, and Enter opens and closes it."""
    page = visit.open(report)
    details = page.locator("details", has_text="Other results")
    summary = details.locator("summary")
    for _ in range(60):
        page.keyboard.press("Tab")
        if summary.evaluate("summary => summary === document.activeElement"):
            break

    expect(summary).to_be_focused()
    assert summary.evaluate("summary => getComputedStyle(summary).outlineStyle") != "none"
    expect(details.locator("table").first).not_to_be_visible()
    page.keyboard.press("Enter")
    expect(details.locator("table").first).to_be_visible()
    page.keyboard.press("Enter")
    expect(details.locator("table").first).not_to_be_visible()


def test_links_of_the_report_lead_to_its_sections(visit, report):
    """Each link at the top has its section on the page."""
    page = visit.open(report)
    links = page.locator("nav a, a[href='#notes']").all()
    assert len(links) > 6
    for link in links:
        link.click()
        expect(page.locator(":target")).to_have_count(1)
        expect(page.locator(":target")).to_be_in_viewport()


def test_paper_shows_the_whole_report(visit, report):
    """On paper, details are open, nothing scrolls, and dark colours are left out."""
    page = visit.open(report)
    wear(page, DESK._replace(width=720, scheme="dark"))  # about A4 without its margins
    page.emulate_media(media="print", color_scheme="dark")

    assert overflow(page) == 0
    body = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(body) == "rgb(255, 255, 255)"
    expect(page.locator("nav")).not_to_be_visible()
    for table in page.locator("table").all():
        assert table.bounding_box()["width"] <= 720
    shoot(page, "report_print")
