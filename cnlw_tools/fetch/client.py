"""What a response means: the robots.txt of a host, an image, a redirect or a failure."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from cnlw_tools.fetch import robots
from cnlw_tools.fetch.address import Address, follow_redirect
from cnlw_tools.fetch.http import HttpClient
from cnlw_tools.fetch.transfer import Headers, Response
from cnlw_tools.images.pixels import Storage
from cnlw_tools.store.inspect import MAX_PIXELS, Inspection, inspect_image
from cnlw_tools.store.memory import MemoryBudget
from cnlw_tools.store.outcomes import FetchError

MAX_REDIRECTS = 5  # of one URL
REDIRECTS = frozenset({301, 302, 303, 307, 308})
RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})
TOO_MANY_REQUESTS = 429
SERVICE_UNAVAILABLE = 503
# the second is what an archive received from the host when it captured the image
OPT_OUT_HEADERS = ("x-robots-tag", "x-archive-orig-x-robots-tag")
MAX_RETRY_AFTER = 120.0  # seconds; if a host asks for more, this run leaves it alone


class FetchedImage(NamedTuple):
    """An image that was fetched."""

    data: bytes
    inspection: Inspection


def read_answer(
    address: Address,
    response: Response,
    max_pixels: int = MAX_PIXELS,
    picture_memory: MemoryBudget | None = None,
    keep: Storage | None = None,
) -> FetchedImage | Address:
    """Return the image of a response, or the address to which the server redirects.

    Args:
        address: what was requested
        response: the answer
        max_pixels: of the image
        picture_memory: of which the decoding of large pictures borrows; see `inspect_image`
        keep: how the file to keep is made; None: it is the original

    Raises:
        FetchError: there is no image
    """
    if response.status in REDIRECTS:
        return _redirect_target(address, response)
    if response.status != 200:
        raise _status_error(response)
    inspection = inspect_image(response.body, max_pixels, picture_memory, keep)
    return FetchedImage(response.body, inspection)


def request_rules(http_client: HttpClient, address: Address, loan: ExitStack) -> robots.Rules:
    """Request the robots.txt of a host; if there is none, or it is forbidden, all is allowed.

    Raises:
        FetchError: the host cannot answer at the moment, so for now nothing is allowed
    """
    location = replace(address, target="/robots.txt")
    for _ in range(1 + MAX_REDIRECTS):
        response = http_client.get(location, accept_all, loan, robots.MAX_BYTES)
        if response.status == 200:
            text = response.body.decode(errors="replace")
            return robots.parse_robots(text)
        if response.status not in REDIRECTS:
            break
        location = _redirect_target(location, response)
    if response.status in RETRYABLE or response.status >= 500:
        retry_after = parse_retry_after(response.headers)
        raise FetchError(
            "robots",
            _describe(f"robots.txt: HTTP {response.status}", retry_after),
            retryable=retry_after <= MAX_RETRY_AFTER,
            host_wide=True,
            rate_limited=True,
            retry_after=retry_after,
        )
    return robots.ALLOW_ALL


def parse_retry_after(headers: Headers, clock: Callable[[], float] = time.time) -> float:
    """Return the seconds in the header Retry-After, a number or a date; 0 if there are none."""
    text = headers.get("retry-after").strip()
    try:
        if text.isdecimal():
            seconds = float(text)
        else:
            seconds = parsedate_to_datetime(text).timestamp() - clock()
    except (ValueError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), 1e9)


def check_opt_out(status: int, headers: Headers) -> None:
    """Check that the headers of an image or a redirect do not forbid its use.

    Raises:
        FetchError: the header X-Robots-Tag forbids it
    """
    if status == 200 or status in REDIRECTS:
        values = [value for name in OPT_OUT_HEADERS for value in headers.get_all(name)]
        directive = robots.find_opt_out(values)
        if directive:
            raise FetchError("opt_out", f"X-Robots-Tag: {directive}")


def accept_all(status: int, headers: Headers) -> None:
    """Accept any headers: those of a robots.txt, or all if the user says so."""


def _redirect_target(address: Address, response: Response) -> Address:
    location = response.headers.get("location")
    if not location:
        raise FetchError("redirect", f"HTTP {response.status} without a location")
    return follow_redirect(address, location)


def _status_error(response: Response) -> FetchError:
    """Return the error of a response that is neither an image nor a redirect."""
    status = response.status
    retry_after = parse_retry_after(response.headers)
    asks_to_wait = status == SERVICE_UNAVAILABLE and retry_after > 0
    rate_limited = status == TOO_MANY_REQUESTS or asks_to_wait
    return FetchError(
        f"http_{status}",
        _describe(f"HTTP {status}", retry_after),
        retryable=status in RETRYABLE and retry_after <= MAX_RETRY_AFTER,
        host_wide=rate_limited,
        rate_limited=rate_limited,
        retry_after=retry_after,
    )


def _describe(answer: str, retry_after: float) -> str:
    if not retry_after:
        return answer
    return f"{answer}, to be requested again after {retry_after:,.0f} s"
