"""Outcomes of URLs: their names, the error that carries one, and how users name one.

The ledger stores the outcome of a URL in its column `class`.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from cnlw_tools.registry import suggest

OUTCOMES: Mapping[str, str] = {
    "ok": "an image was stored",
    "refused": "no request was made: the id or the URL is invalid, or the IP address is private",
    "robots": "robots.txt forbids the request, or cannot be read",
    "opt_out": "an X-Robots-Tag header forbids the use: noai, noimageai, noindex, noimageindex",
    "dns": "the name of the host is unknown",
    "connect": "the connection failed or broke",
    "tls": "no trusted TLS connection could be made",
    "timeout": "the server was too slow",
    "unreachable": "no request was made, because the host failed several times in a row",
    "redirect": "there were too many redirects, or a redirect had no valid target",
    "http_NNN": "the server returned this status: http_404, http_403, http_429 ...",
    "too_big": "the file has more bytes than allowed",
    "truncated": "the file has fewer bytes than announced, or the image ends early",
    "bomb": "the image has more pixels than allowed",
    "animated": "the image has more than one frame",
    "not_image": "the server sent HTML, SVG, PDF or something else that is not a supported image",
    "decode": "the file starts like an image but cannot be decoded",
}
FAILED = "failed"  # stands for every outcome except ok
STATUS = re.compile(r"(?:http_)?([1-5]\d\d)")


@dataclass(slots=True)
class Tally:
    """How many rows of a manifest have been processed, and with which outcomes."""

    total: int
    counts: Counter[str] = field(default_factory=Counter)  # by outcome, earlier runs included
    fetched: int = 0  # URLs that this run brought to an outcome
    skipped: int = 0  # rows without an outcome that this run leaves out; among them are:
    of_other_shards: int = 0  # rows at sites of other shards
    redirected: int = 0  # rows that led to sites of other shards
    stop_signal: int = 0  # the signal that ended the run; 0: none


class FetchError(Exception):
    """A URL gave no image. The error has the outcome, the reason, and advice for the scheduler."""

    def __init__(
        self,
        outcome: str,
        reason: str,
        retryable: bool = False,
        host_wide: bool = False,
        rate_limited: bool = False,
        retry_after: float = 0.0,
        n_hosts: int = 0,
    ) -> None:
        super().__init__(outcome, reason)  # exactly the arguments that unpickling needs
        self.outcome = outcome
        self.reason = reason
        self.retryable = retryable  # another attempt may succeed
        self.host_wide = host_wide  # other URLs of the host will probably fail, too
        self.rate_limited = rate_limited  # the host asks for fewer requests
        self.retry_after = retry_after  # seconds for which the host asks; 0: it does not say
        # If this many hosts fail like this and none answers, the network of this machine is down.
        self.n_hosts = n_hosts  # 0: this failure is the host's, whatever the others do

    def __str__(self) -> str:
        return f"{self.outcome}: {self.reason}"

    @property
    def status(self) -> int | None:
        """Return the HTTP status of the answer, if that is the outcome."""
        if self.outcome.startswith("http_"):
            return int(self.outcome.removeprefix("http_"))
        return None


def parse_outcome(text: str) -> str:
    """Return the outcome that a user names: ``failed``, an outcome, or a status such as 404.

    Raises:
        LookupError: there is no such outcome
    """
    status = STATUS.fullmatch(text)
    if status:
        return f"http_{status[1]}"
    names = [FAILED, *OUTCOMES, "http_404"]
    names.remove("ok")
    names.remove("http_NNN")
    if text not in names:
        suggestion = suggest(text, names)
        choices = ", ".join(names)
        raise LookupError(
            f"unknown outcome {text!r}.{suggestion} The choices are: {choices}, or http_ "
            "with another status code"
        )
    return text
