"""Whether a site wants to be asked: robots.txt (RFC 9309) and the header X-Robots-Tag.

The rules of a site are those of the group that names us, or else of the group `*`. Of all rules that match a path the
longest counts, and of two equally long ones the permission. `*` stands for anything, `$` for the end.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote

US = "cnlw_tools"  # our name in both
LARGEST = 512_000  # bytes of a robots.txt that are read; the RFC asks for as many
NO = frozenset({"noai", "noimageai", "noindex", "noimageindex", "none"})
VALUED = frozenset(
    {"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"}
)  # no agents, these


@dataclass(frozen=True, slots=True)
class Rules:
    """What one site allows us."""

    rules: tuple[tuple[str, bool], ...] = ()  # pattern, is it a permission
    delay: float = 0.0  # seconds between two requests

    def allow(self, target: str) -> bool:
        """May this path and query be asked for?"""
        if not self.rules:
            return True
        path = _even(target)
        matching = [(len(pattern), yes) for pattern, yes in self.rules if _matches(pattern, path)]
        return max(matching, default=(0, True))[1]


ALL = Rules()
NOTHING = Rules((("/", False),))


def read(text: str) -> Rules:
    """Return the rules of a robots.txt that concern us."""
    groups: dict[str, list[tuple[str, str]]] = {}
    agents: list[str] = []
    open_ = True  # still at the names of a group?
    for line in text.removeprefix("\ufeff").splitlines():
        key, _, value = (part.strip() for part in line.partition("#")[0].partition(":"))
        if key.lower() == "user-agent":
            agents = [*agents, _name(value)] if open_ else [_name(value)]
            open_ = True
            groups.setdefault(agents[-1], [])
        elif key.lower() in ("allow", "disallow", "crawl-delay"):
            open_ = False
            for agent in agents:
                groups[agent].append((key.lower(), value))
    lines = groups.get(US, groups.get("*", []))
    rules = tuple(
        (_even(value), key == "allow") for key, value in lines if key != "crawl-delay" and value
    )
    return Rules(
        rules, max((_seconds(value) for key, value in lines if key == "crawl-delay"), default=0.0)
    )


def opts_out(headers: Iterable[str]) -> str | None:
    """Return the directive by which X-Robots-Tag headers say no to us, if one does."""
    for header in headers:
        agent = "*"
        for part in header.lower().split(","):
            name, colon, rest = (piece.strip() for piece in part.partition(":"))
            if colon and name not in VALUED:
                agent, name = name, rest
            if name in NO and agent in ("*", US):
                return name
    return None


def _name(value: str) -> str:
    """Return the product that a line names: `Bot/1.0` is `bot`."""
    found = re.match(r"[a-z_-]+", value.lower())
    return found[0] if found else value


def _even(path: str) -> str:
    """Spell a path in the one way in which two can be compared."""
    return quote(
        unquote(path, errors="surrogateescape"), safe="/?&=*$%:;,+!~@'()", errors="surrogateescape"
    )


def _matches(pattern: str, path: str) -> bool:
    """Do the pieces between the stars come in this order? No regular expression, so no pattern takes for ever."""
    ends = pattern.endswith("$")
    first, *rest = pattern.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    if not rest:
        return not ends or path == first
    at = len(first)
    for piece in rest[:-1]:
        at = path.find(piece, at) + len(piece)
        if at < len(piece):
            return False
    return (
        path.endswith(rest[-1]) and len(path) - len(rest[-1]) >= at
        if ends
        else path.find(rest[-1], at) >= 0
    )


def _seconds(text: str) -> float:
    """Read seconds, at most a minute; anything else is none."""
    return min(float(text), 60.0) if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII) else 0.0
