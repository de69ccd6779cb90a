"""Headless Chromium, driven by Playwright, and what pages do in it that no page may do.

Every request is watched. A request to anything but the own origin of the page is blocked; a page
at file:// has its folder as origin. It is a fault of the page, as are errors on its console, which
violations of the content-security policy are too, exceptions that nobody caught, and dialogs.
"""

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Locator,
    Page,
    Route,
    WebError,
    expect,
    sync_playwright,
)

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
MISSING = (
    f"No browser is installed: none of {', '.join(PROGRAMS)} is on the PATH. "
    "On Debian, `apt-get install chromium` installs it."
)
MAX_WAIT = 15_000  # milliseconds; two cores serve all tests, and a page that works takes few
SCREENSHOTS = "CNLW_SCREENSHOTS"  # the environment variable that names their folder


class Look(NamedTuple):
    """A screen that a page is seen on."""

    width: int  # CSS pixels
    height: int
    scheme: str  # of colours

    def __str__(self) -> str:
        return f"{self.width}_{self.scheme}"


DESK, DARK_DESK = Look(1280, 800, "light"), Look(1280, 800, "dark")
PHONE, DARK_PHONE = Look(390, 844, "light"), Look(390, 844, "dark")
LOOKS = (DESK, DARK_DESK, PHONE, DARK_PHONE)


def find_chromium() -> str:
    """Return the path of the browser; without one, skip the test, or fail it where CI is true."""
    for name in PROGRAMS:
        path = shutil.which(name)
        if path:
            return path
    if os.environ.get("CI") == "true":
        pytest.fail(MISSING, pytrace=False)
    pytest.skip(MISSING)


@contextmanager
def start_browser() -> Iterator[Browser]:
    """Start the browser, which reaches nothing but this machine."""
    path = find_chromium()
    expect.set_options(timeout=MAX_WAIT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            chromium_sandbox=os.geteuid() != 0,  # root has none
            args=["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
        )
        yield browser
        browser.close()


def find_origin(address: str) -> str:
    """Return the beginning that the addresses of all requests of a page share."""
    parts = urlsplit(address)
    if parts.scheme == "file":
        return address.rpartition("/")[0] + "/"
    return f"{parts.scheme}://{parts.netloc}/"


@dataclass
class Visit:
    """Pages that one test opens, and their faults."""

    browser: Browser
    faults: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    def open(self, address: str, look: Look = DESK, touch: bool = False) -> Page:
        """Open a page as somebody new: what others opened shares nothing with it."""
        page = self.open_blank(find_origin(address), look, touch)
        page.goto(address)
        return page

    def open_blank(self, origin: str, look: Look = DESK, touch: bool = False) -> Page:
        """Return an empty page that may ask this origin alone."""
        context = self.browser.new_context(
            viewport={"width": look.width, "height": look.height},
            color_scheme=look.scheme,
            has_touch=touch,
            is_mobile=touch,
            service_workers="block",  # nobody sees what they ask for
        )
        context.set_default_timeout(MAX_WAIT)
        context.route(re.compile(f"^(?!{re.escape(origin)}|data:|blob:)"), self._block)
        context.on("console", self._note_message)
        context.on("weberror", self._note_error)
        context.on("dialog", self._answer)
        self.contexts.append(context)
        page = context.new_page()
        page.on("websocket", lambda socket: self.faults.append(f"request to {socket.url}"))
        return page

    def take(self, words: str) -> None:
        """Wait for a fault that contains these words, and forget all that do."""
        page = self.contexts[-1].pages[-1]
        end = time.monotonic() + MAX_WAIT / 1000
        while not any(words in fault for fault in self.faults):
            assert time.monotonic() < end, f"no fault contains {words!r}: {self.faults}"
            page.wait_for_timeout(5)
        self.faults = [fault for fault in self.faults if words not in fault]

    def end(self) -> None:
        """Close all pages; they had no fault."""
        for context in self.contexts:
            for page in context.pages:
                page.evaluate("0")  # what happened before it is known after it
            context.close()
        assert not self.faults, "\n".join(self.faults)

    def _block(self, route: Route) -> None:
        self.faults.append(f"request to {route.request.url}")
        route.abort()

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.faults.append(f"console: {message.text} ({message.location['url']})")

    def _note_error(self, error: WebError) -> None:
        self.faults.append(f"exception: {error.error}")

    def _answer(self, dialog: Dialog) -> None:
        if dialog.type != "beforeunload":
            self.faults.append(f"dialog: {dialog.message}")
        dialog.accept()


def wear(page: Page, look: Look) -> None:
    """Show a page on another screen."""
    page.set_viewport_size({"width": look.width, "height": look.height})
    page.emulate_media(color_scheme=look.scheme)


def shoot(page: Page, name: str, whole: bool = True) -> None:
    """Write NAME.png into the folder of screenshots, if the environment names one."""
    folder = os.environ.get(SCREENSHOTS)
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=whole)


def overflow(page: Page) -> int:
    """Return how many pixels a page is wider than its screen."""
    return page.evaluate(
        "document.scrollingElement.scrollWidth - document.documentElement.clientWidth"
    )


def clipped_texts(scope: Locator) -> list[str]:
    """Return texts below an element that lie beyond the sides of the screen and cannot be reached."""
    return scope.evaluate(CLIPPED_TEXTS)


def faint_texts(page: Page) -> list[str]:
    """Return texts whose contrast with what is behind them is below 4.5, each with its contrast."""
    return page.evaluate(FAINT_TEXTS)


CLIPPED_TEXTS = """root => {
  const clipped = [];
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    const box = range.getBoundingClientRect();
    if (box.right <= document.documentElement.clientWidth + 1 && box.left >= -1) continue;
    let scroller = element;
    while (scroller && !["auto", "scroll"].includes(getComputedStyle(scroller).overflowX)) {
      scroller = scroller.parentElement;
    }
    if (!scroller) clipped.push(walker.currentNode.data.trim());
  }
  return clipped;
}"""

# WCAG 2.2: relative luminance, and the contrast of two of them. Colours that are not opaque are
# blended with those behind them.
FAINT_TEXTS = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const read = colour => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (front, back) =>
    [0, 1, 2].map(i => front[i] * front[3] + back[i] * (1 - front[3])).concat(1);
  const linear = value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const luminance = colour => {
    const [r, g, b] = colour.slice(0, 3).map(value => linear(value / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = element => {
    const layers = [];
    for (let node = element; node; node = node.parentElement) {
      layers.push(read(getComputedStyle(node).backgroundColor));
    }
    const dark = getComputedStyle(document.documentElement).colorScheme.includes("dark")
      && matchMedia("(prefers-color-scheme: dark)").matches;
    return layers.reduceRight((back, front) => over(front, back), dark ? [18, 18, 18, 1] : [255, 255, 255, 1]);
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.data.trim();
    if (!text || ["SCRIPT", "STYLE"].includes(element.tagName)) continue;
    if (!element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
    if (element.closest("[disabled], [aria-disabled=true], svg")) continue;
    const back = behind(element);
    const [a, b] = [luminance(over(read(getComputedStyle(element).color), back)), luminance(back)];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) faint.push(`${contrast.toFixed(2)}: ${text.slice(0, 60)}`);
  }
  return faint;
}"""
