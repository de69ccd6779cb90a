"""One step of one URL: ask a site for its rules, ask for the image once, look at what comes."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime

from urllib3 import HTTPHeaderDict

from cnlw_tools.fetch import robots
from cnlw_tools.fetch.address import Address, follow
from cnlw_tools.fetch.http import Answer, Web
from cnlw_tools.store.inspect import PIXELS, Look, look
from cnlw_tools.store.outcomes import Failed

HOPS = 5  # redirects of one URL
REDIRECTS = frozenset({301, 302, 303, 307, 308})
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
TAGS = ("X-Robots-Tag", "X-Archive-Orig-X-Robots-Tag")  # the second is what an archive once heard
LONGEST_WAIT = 120.0  # seconds of a Retry-After that are waited for; who asks for more is left alone in this run


@dataclass(frozen=True, slots=True)
class Image:
    """What came, and what it is."""

    data: bytes
    look: Look


def image(
    web: Web, address: Address, opt_out: bool = True, pixels: int = PIXELS
) -> Image | Address:
    """Ask for an image once; return it, or the address to which the server sends us.

    Args:
        web: what to ask with
        address: what to ask for
        opt_out: heed X-Robots-Tag
        pixels: of a picture, at most

    Raises:
        Failed: there is no image
    """

    def judge(status: int, headers: HTTPHeaderDict) -> None:
        said = (
            [text for name in TAGS for text in headers.getlist(name)]
            if status in {200, *REDIRECTS}
            else []
        )
        if opt_out and (no := robots.opts_out(said)):
            raise Failed("opt_out", f"X-Robots-Tag: {no}")

    answer = web.get(address, judge)
    if answer.status in REDIRECTS:
        return _next(address, answer)
    if answer.status != 200:
        raise _refusal(answer)
    return Image(answer.body, look(answer.body, pixels))


def rules(web: Web, address: Address) -> robots.Rules:
    """Ask a site for its robots.txt; none, or one that is not for us (4xx), allows everything.

    Raises:
        Failed: the site cannot say at the moment, which counts as a no
    """
    here = replace(address, target="/robots.txt")
    for _ in range(HOPS + 1):
        answer = web.get(here, lambda status, headers: None, robots.LARGEST)
        if answer.status == 200:
            return robots.read(answer.body.decode(errors="replace"))
        if answer.status not in REDIRECTS:
            break
        here = _next(here, answer)
    if answer.status in AGAIN or answer.status >= 500:
        raise _failed(
            "robots",
            f"robots.txt: HTTP {answer.status}",
            wait(answer.headers),
            again=True,
            busy=True,
        )
    return robots.ALL


def wait(headers: HTTPHeaderDict, now: Callable[[], float] = time.time) -> float:
    """Return the seconds that a Retry-After asks for, as a number or a date; 0 without one."""
    said = headers.get("Retry-After", "").strip()
    try:
        seconds = (
            float(said) if said.isdecimal() else parsedate_to_datetime(said).timestamp() - now()
        )
    except (ValueError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), 1e9)


def _next(address: Address, answer: Answer) -> Address:
    location = answer.headers.get("Location")
    if not location:
        raise Failed("redirect", f"HTTP {answer.status} that does not say where to")
    return follow(address, location)


def _refusal(answer: Answer) -> Failed:
    status, seconds = answer.status, wait(answer.headers)
    busy = status == 429 or (status == 503 and seconds > 0)  # it is the host that asks for peace
    return _failed(f"http_{status}", f"HTTP {status}", seconds, again=status in AGAIN, busy=busy)


def _failed(kind: str, said: str, seconds: float, again: bool, busy: bool) -> Failed:
    said += f", to be asked again in {seconds:,.0f} s" if seconds else ""
    return Failed(
        kind, said, again=again and seconds <= LONGEST_WAIT, host=busy, busy=busy, wait=seconds
    )
