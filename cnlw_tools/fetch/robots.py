"""Whether a host allows a request: robots.txt (RFC 9309) and the header X-Robots-Tag.

The rules of a host are those of the group that names us, or else those of the group `*`. Of all
rules that match a path the longest counts, and of equally long ones the permission. In a pattern,
`*` matches any text, and `$` the end of the path.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote

OUR_NAME = "cnlw_tools"  # in robots.txt and in X-Robots-Tag
MAX_BYTES = 512_000  # of a robots.txt; the RFC asks for at least 500 KiB
MAX_DELAY = 60.0  # seconds
OPT_OUTS = frozenset({"noai", "noimageai", "noindex", "noimageindex", "none"})
# directives with a value after a colon; before any other colon is the name of an agent
DIRECTIVES_WITH_VALUE = frozenset(
    {"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"}
)


@dataclass(frozen=True, slots=True)
class Rules:
    """What one host allows us."""

    rules: tuple[tuple[str, bool], ...] = ()  # pattern, and whether it is allowed
    delay: float = 0.0  # seconds between two requests

    def allows(self, target: str) -> bool:
        """Return whether this path and query may be requested."""
        if not self.rules:
            return True
        path = _normalise(target)
        strongest = (0, True)  # length of the pattern, and whether it is allowed
        for pattern, allowed in self.rules:
            if _matches(pattern, path):
                strongest = max(strongest, (len(pattern), allowed))
        return strongest[1]


ALLOW_ALL = Rules()
ALLOW_NOTHING = Rules((("/", False),))

Line = tuple[str, str]  # of a robots.txt: key and value


def parse_robots(text: str) -> Rules:
    """Return the rules of a robots.txt that apply to us."""
    rules = []
    delay = 0.0
    for key, value in _find_our_group(text):
        if key == "crawl-delay":
            delay = max(delay, _parse_delay(value))
        elif value:
            rules.append((_normalise(value), key == "allow"))
    return Rules(tuple(rules), delay)


def find_opt_out(headers: Iterable[str]) -> str | None:
    """Return the first directive in X-Robots-Tag headers that forbids us the use, or None."""
    for header in headers:
        agent = "*"
        for part in header.lower().split(","):
            name, colon, value = (piece.strip() for piece in part.partition(":"))
            if colon and name not in DIRECTIVES_WITH_VALUE:
                agent = name
                name = value
            if name in OPT_OUTS and agent in ("*", OUR_NAME):
                return name
    return None


def _find_our_group(text: str) -> list[Line]:
    """Return the rules of the group that names us, or else of the group `*`, or none."""
    groups: dict[str, list[Line]] = {}
    agents: list[str] = []  # of the current group
    in_header = True  # whether only agents of the current group were read so far
    for line in text.removeprefix("\ufeff").splitlines():
        content = line.partition("#")[0]
        key, _, value = (part.strip() for part in content.partition(":"))
        key = key.lower()
        if key == "user-agent":
            if not in_header:
                agents = []
            agents.append(_parse_agent(value))
            in_header = True
            groups.setdefault(agents[-1], [])
        elif key in ("allow", "disallow", "crawl-delay"):
            in_header = False
            for agent in agents:
                groups[agent].append((key, value))
    return groups.get(OUR_NAME, groups.get("*", []))


def _parse_agent(value: str) -> str:
    """Return the name of the agent in a line: `bot` for `Bot/1.0`."""
    match = re.match(r"[a-z_-]+", value.lower())
    return match[0] if match else value


def _normalise(path: str) -> str:
    """Return the spelling of a path in which it can be compared with others."""
    plain = unquote(path, errors="surrogateescape")
    return quote(plain, safe="/?&=*$%:;,+!~@'()", errors="surrogateescape")


def _matches(pattern: str, path: str) -> bool:
    """Return whether a path matches a pattern.

    The parts between the stars are searched one after another. There is no regular expression, so
    no pattern takes longer than its length allows.
    """
    must_end = pattern.endswith("$")
    first, *rest = pattern.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    if not rest:
        return not must_end or path == first
    *middle, last = rest
    position = len(first)
    for part in middle:
        start = path.find(part, position)
        if start < 0:
            return False
        position = start + len(part)
    if must_end:
        return path.endswith(last) and len(path) - len(last) >= position
    return path.find(last, position) >= 0


def _parse_delay(text: str) -> float:
    """Return the seconds of a crawl delay, at most a minute; 0 if it is not a number."""
    if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
        return min(float(text), MAX_DELAY)
    return 0.0
