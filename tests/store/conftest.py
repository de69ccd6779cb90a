"""The loopback server and the pictures of the tests of fetching."""

from tests.fetch.conftest import bodies, encode, fetched, hurry, other, server, table

__all__ = ["bodies", "encode", "fetched", "hurry", "other", "server", "table"]
