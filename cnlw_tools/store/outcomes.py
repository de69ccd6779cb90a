"""What became of a URL: the class that its row in the ledger has, and how a class is named by users."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from cnlw_tools.registry import suggest

KINDS: Mapping[str, str] = {
    "ok": "an image, stored",
    "refused": "no request was made: a bad id or URI, or a private address",
    "robots": "robots.txt says no",
    "opt_out": "an X-Robots-Tag header says no: noai, noimageai, noindex, noimageindex",
    "dns": "the name of the host is not known",
    "connect": "no connection, or it broke",
    "tls": "no trusted connection",
    "timeout": "too slow",
    "unreachable": "not asked, as the host had failed several times in a row",
    "redirect": "too many redirects, or one that leads nowhere",
    "http_NNN": "the server's answer: http_404, http_403, http_429 ...",
    "too_big": "more bytes than allowed",
    "truncated": "fewer bytes than announced, or an image that ends early",
    "bomb": "more pixels than allowed",
    "animated": "more than one frame",
    "not_image": "HTML, SVG, PDF, or another body that is no picture of a known format",
    "decode": "begins like an image and cannot be decoded",
}
FAILED = "failed"  # all that are not ok


@dataclass(slots=True)
class Tally:
    """How far a run has come: rows of the manifest."""

    total: int
    counts: Counter[str] = field(default_factory=Counter)  # by class, those of earlier runs too
    fetched: int = 0  # in this run
    waiting: int = 0  # never asked, and not to be now
    stopped: int = 0  # the signal that ended the run


class Failed(Exception):
    """Why a URL gave no image: its class and the reason in words."""

    def __init__(
        self,
        kind: str,
        reason: str,
        again: bool = False,
        host: bool = False,
        busy: bool = False,
        wait: float = 0.0,
    ) -> None:
        super().__init__(kind, reason)  # all that there is, so that it can go to another process
        self.kind, self.reason = kind, reason
        self.again = again  # may go well another time
        self.host = host  # says something of the whole host
        self.busy = busy  # the host asks for peace,
        self.wait = wait  # for so many seconds; 0: it does not say

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}"

    @property
    def status(self) -> int | None:
        """Return what the server answered."""
        return int(self.kind[5:]) if self.kind.startswith("http_") else None


def chosen(name: str) -> str:
    """Return the class that a user means: ``failed``, a name, or a status such as 404.

    Raises:
        LookupError: there is no such class
    """
    status = re.fullmatch(r"(?:http_)?([1-5]\d\d)", name)
    if status:
        return f"http_{status[1]}"
    known = [FAILED, *(k for k in KINDS if k not in ("ok", "http_NNN")), "http_404"]
    if name not in known:
        there = f"{', '.join(known)} or another status"
        raise LookupError(f"unknown class {name!r}.{suggest(name, known)} There are: {there}")
    return name
