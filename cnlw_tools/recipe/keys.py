"""What there is to know of a key of a recipe, a preset or a study, declared once: on its field.

    probe: int = key(
        0,
        kind=PLAN,
        help="Move N images of each class from train to the trusted split probe.",
        check=COUNT,
        option="--probe",
        metavar="N",
        in_name="probe{}".format,
    )

The strict reader, the command line, the names of configs, the guard of published splits, the
comparison of builds and the table in pipelines/README.md all read this declaration, so a new key
takes one field and nothing else.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from cnlw_tools.recipe.strict import Check, choice

# What a key of a recipe decides:
PLAN = "plan"  # rows and labels; stands in the card of a build, beside the level
LEVEL = "level"  # which plans are made
INPUT = "input"  # a file on this machine, whose digest a plan records
STORAGE = "storage"  # how images are stored
TEXT = "text"  # what the card says


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a recipe, a preset or a study."""

    name: str
    default: Any  # MISSING where the key is required
    help: str
    check: Check | None
    kind: str  # of a recipe: PLAN, LEVEL, INPUT, STORAGE or TEXT
    option: str  # its word on the command line; empty: it has none
    metavar: str
    default_text: str  # what the help says of a default that its value does not explain
    in_name: Callable[[Any], str] | None  # another value than the default -> a part of the name
    published: bool  # may it be chosen where published splits are read?
    old_name: str  # what plans and cards of earlier versions call it
    old_values: Mapping[Any, Any]  # values of those -> values of now


def key(
    default: Any = MISSING,
    *,
    help: str,
    default_factory: Any = MISSING,
    check: Check | None = None,
    kind: str = "",
    option: str = "",
    metavar: str = "",
    default_text: str = "",
    in_name: Callable[[Any], str] | None = None,
    published: bool = False,
    old_name: str = "",
    old_values: Mapping[Any, Any] = MappingProxyType({}),
) -> Any:
    """Declare a field; see `Key` for what the arguments mean."""
    return choice(
        default,
        default_factory=default_factory,
        check=check,
        help=help,
        kind=kind,
        option=option,
        metavar=metavar,
        default_text=default_text,
        in_name=in_name,
        published=published or kind in (STORAGE, TEXT),
        old_name=old_name,
        old_values=old_values,
    )


@cache
def declared_keys(cls: type) -> Mapping[str, Key]:
    """Return the keys of a dataclass by name, in the order of its fields."""
    keys = {}
    for field in dataclasses.fields(cls):
        default = field.default
        if field.default_factory is not MISSING:
            default = field.default_factory()
        keys[field.name] = Key(name=field.name, default=default, **field.metadata)
    return keys


def keys_of_kind(cls: type, kind: str) -> list[str]:
    """Return the names of the keys of one kind."""
    return [name for name, declared in declared_keys(cls).items() if declared.kind == kind]


def refuse_old_names(cls: type, raw: Mapping[str, Any], source: str) -> None:
    """Raise if a file written by hand names a key or a value as earlier versions did.

    Raises:
        ValueError: it does; the message says what the key or the value is called now
    """
    for name, declared in declared_keys(cls).items():
        if declared.old_name in raw:
            raise ValueError(f"{source}: {declared.old_name!r} is called {name!r} now: rename it")
        value = raw.get(name)
        if isinstance(value, str) and value in declared.old_values:
            new_value = declared.old_values[value]
            raise ValueError(
                f"{source}: the value {value!r} of {name} is called {new_value!r} now: change it"
            )
