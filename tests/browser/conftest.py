"""One browser for all tests here, and a fresh visit for each."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import Visit, start_browser


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The browser. While it runs, so does an event loop in this thread, which others must not meet."""
    with start_browser() as browser:
        yield browser


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Opens pages; at the end, none of them has a fault that the test did not take."""
    visit = Visit(browser)
    yield visit
    visit.end()
