"""Fixtures of the tests of fetching: a loopback server and encoded pictures."""

from tests.fetch.conftest import (
    bodies,
    encode,
    fetch_rows,
    server,
    short_back_off,
    write_manifest,
)

__all__ = ["bodies", "encode", "fetch_rows", "server", "short_back_off", "write_manifest"]
