"""What a user may choose about a fetch: the options of `cnlw fetch`, with their defaults."""

from dataclasses import dataclass, fields

from cnlw_tools.executor.work_shard import WHOLE, WorkShard
from cnlw_tools.fetch.options import USER_AGENT, FetchOptions
from cnlw_tools.fetch.transfer import Limits
from cnlw_tools.fetch.wayback import WAYBACK_URL
from cnlw_tools.images.pixels import Storage
from cnlw_tools.recipe.keys import declared_keys
from cnlw_tools.recipe.recipe import Recipe
from cnlw_tools.recipe.strict import between, choice

MAX_SECONDS = 1_000_000  # some libraries count milliseconds, in 32 bits
KEEP_OPTIONS = {"keep": "size", "resize": "resize", "quality": "quality"}  # option -> recipe key


@dataclass(frozen=True, slots=True)
class FetchChoices:
    """The options of `cnlw fetch`; the help of the command says what they mean."""

    keep: int | None = None
    resize: str | None = None
    quality: int | None = None
    per_host: int = choice(4, check=between(0))
    tries: int = choice(3, check=between(1))
    connect_timeout: float = choice(5.0, check=between(0.1, MAX_SECONDS))
    read_timeout: float = choice(10.0, check=between(0.1, MAX_SECONDS))
    timeout: float = choice(30.0, check=between(0.1, MAX_SECONDS))
    max_bytes: int = choice(32_000_000, check=between(1))
    patience: float = choice(300.0, check=between(0))
    contact: str | None = None
    user_agent: str | None = None
    no_robots: bool = False
    no_opt_out: bool = False
    wayback: bool = False
    archive: str | None = None
    allow_private: bool = False
    requests: int = choice(64, check=between(1))
    retry: str | None = None
    placeholders: str | None = None


def to_options(choices: FetchChoices, work_shard: WorkShard | None = None) -> FetchOptions:
    """Return how to fetch.

    Args:
        choices: of the user
        work_shard: whose sites are fetched; none: all sites

    Raises:
        ValueError: a choice is not allowed, or needs another one
    """
    _check_ranges(choices)
    user_agent = choices.user_agent
    if not user_agent:
        user_agent = USER_AGENT + (f" (+{choices.contact})" if choices.contact else "")
    if not (user_agent.isascii() and user_agent.isprintable()):
        raise ValueError(
            f"{user_agent!r}: a User-Agent must be one line of ASCII: change --contact or "
            "--user-agent"
        )
    limits = Limits(
        connect_timeout=choices.connect_timeout,
        read_timeout=choices.read_timeout,
        total_timeout=choices.timeout,
        max_bytes=choices.max_bytes,
    )
    return FetchOptions(
        per_host=choices.per_host,
        max_tries=choices.tries,
        obey_robots=not choices.no_robots,
        obey_opt_out=not choices.no_opt_out,
        allow_private=choices.allow_private,
        user_agent=user_agent,
        limits=limits,
        keep=_read_keep(choices),
        work_shard=work_shard or WHOLE,
        archive=(choices.archive or WAYBACK_URL) if choices.wayback else "",
        patience=choices.patience,
    )


def _check_ranges(choices: FetchChoices) -> None:
    """Raise ValueError if a number is out of range, or is none."""
    for field in fields(choices):
        check, value = field.metadata.get("check"), getattr(choices, field.name)
        if check and not check.test(value):
            option = field.name.replace("_", "-")
            raise ValueError(f"--{option} {value} is not allowed: it must be {check.expected}")


def _read_keep(choices: FetchChoices) -> Storage | None:
    """Return how the images to keep are made; None: the originals are kept."""
    size, *others = KEEP_OPTIONS
    if getattr(choices, size) is None:
        for option in others:
            if getattr(choices, option) is not None:
                raise ValueError(f"--{option} needs --keep: give --keep N as well")
        return None
    keys = {}
    for option, key in KEEP_OPTIONS.items():
        value = getattr(choices, option)
        if value is not None:
            check = declared_keys(Recipe)[key].check
            if check and not check.test(value):
                raise ValueError(f"--{option} {value} is not allowed: it must be {check.expected}")
            keys[key] = value
    return Storage(**keys)
