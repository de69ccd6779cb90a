"""YAML by libyaml, which is ten times as fast as the loader in Python, but crashes more easily.

libyaml crashes on a text that is nested too deeply, and an alias stands for all that it names. So
levels and values are counted on the events of the text, before anything is built from them.
"""

from typing import Any

import yaml

from cnlw_tools.files.texts import DEEPEST, check_depth
from cnlw_tools.files.untrusted import check_size, translate_errors

LARGEST_YAML = 32 << 20  # bytes; a card names every shard in 100 bytes
MAX_VALUES = 1_000_000  # aliases counted as what they stand for

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _StrictLoader(Loader):  # type: ignore[misc]  # one of two classes
    """A loader for which a key that occurs twice is an error."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping of a node."""
        names: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in names:
                raise ValueError(
                    f"{key.value!r} occurs twice, the second time in line {key.start_mark.line + 1}"
                )
            names.add(key.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


def parse_yaml(
    text: str,
    source: str,
    remedy: str = "",
) -> Any:
    """Return what a YAML text holds.

    Raises:
        BadFile: it is not YAML, or one beyond the limits of this module
    """
    check_size(source, len(text), LARGEST_YAML)
    with translate_errors(source, "YAML", remedy):
        _check_events(text)
        value = yaml.load(text, _StrictLoader)  # noqa: S506, it is a safe one
    check_depth(value, source, remedy)
    return value


def dump_yaml(value: Any) -> str:
    """Return a value as YAML, in the order of its keys."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=200)
    return text


def _check_events(text: str) -> None:
    """Check that a text is flat and small enough when its aliases are written out."""
    size_of_anchor: dict[str | None, int] = {}
    open_collections: list[tuple[str | None, int]] = []  # anchor, and the values before
    n_values = 0
    for event in yaml.parse(text, Loader):
        if isinstance(event, yaml.AliasEvent):
            n_values += size_of_anchor.get(event.anchor, MAX_VALUES)  # one that holds itself
        elif isinstance(event, yaml.CollectionStartEvent):
            open_collections.append((event.anchor, n_values))
            n_values += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, n_before = open_collections.pop()
            size_of_anchor[anchor] = n_values - n_before
        elif isinstance(event, yaml.ScalarEvent):
            size_of_anchor[event.anchor] = 1
            n_values += 1
        if len(open_collections) > DEEPEST:
            raise ValueError(f"nested more than {DEEPEST} levels deep")
        if n_values > MAX_VALUES:
            raise ValueError(f"more than {MAX_VALUES:,} values when aliases are written out")
