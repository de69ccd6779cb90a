"""Exporters: from rows and images to a shard on disk. One file a format; the table is below."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from cnlw_tools.build import parquet

__all__ = ["EXPORTERS"]

Exporter = Callable[[Path, pa.Table, Sequence[bytes], Sequence[str]], None]

EXPORTERS: Mapping[str, Exporter] = {
    "hf": parquet.write,  # Parquet that datasets.load_dataset reads
}
