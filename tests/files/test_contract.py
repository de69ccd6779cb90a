"""The libraries that parse bytes are called in one place, where their limits and errors are."""

import ast
from collections.abc import Iterator
from pathlib import Path

import cnlw_tools

PACKAGE = Path(cnlw_tools.__file__).parent
MODULES = {"gzip", "pickle", "sqlite3", "tarfile", "tomllib", "yaml", "zipfile"}
CALLS = {
    "csv.DictReader", "csv.reader", "json.load", "json.loads", "np.genfromtxt", "np.load",
    "np.loadtxt", "pa.ipc.open_file", "pa.ipc.open_stream", "pacsv.read_csv", "pd.read_csv",
    "pq.ParquetFile", "pq.read_metadata", "pq.read_schema", "pq.read_table", "torch.load",
}  # fmt: skip
ALLOWED = {
    "builds/exporters/npz.py": {"zipfile"},  # writes an archive
    "builds/exporters/webdataset.py": {"tarfile"},  # writes an archive
    "checks/inspections.py": {"json.loads"},  # our own values, as a file would hold them
    "builds/archive.py": {"zipfile"},  # writes an archive
    "checks/roundtrip.py": {"yaml"},  # chooses the parser that `datasets` calls
    "dataset/table_io.py": {"pacsv.read_csv"},  # within translate_errors; text does not expand
    "executor/ray.py": {"pickle"},  # tasks and results, as between the processes of one machine
    "fetch/cluster.py": {"json.loads"},  # rows that our own process wrote
    "fetch/remote_worker.py": {"pickle"},  # whether our own message can be sent
    "methods/components/mentor.py": {"json.loads"},  # methods import no files; every error is named
    "recipe/run_files.py": {"json.loads"},  # what we just wrote
    "study/remote_runs.py": {"pickle"},  # a run and its outcome, to and from our own process
    "sources/formats/release.py": {"zipfile"},  # paths inside an archive that files.archives opened
    "store/img2dataset.py": {"tarfile"},  # writes an archive
    "store/store.py": {"sqlite3"},  # the ledger; files.sqlite says what may be in it
    "trainer/torch_files.py": {"pickle", "torch.load"},  # building imports no torch
}


def uses(tree: ast.Module) -> Iterator[str]:
    """Yield the modules that a file imports, and the calls in it, that parse bytes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            names = [name] if name in CALLS else []
        else:
            continue
        for name in names:
            if name in CALLS or name.partition(".")[0] in MODULES:
                yield name


def test_bytes_are_parsed_in_one_place():
    """Outside `files/`, nothing parses bytes but what is listed here with its reason."""
    places = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE).as_posix()
        if not place.startswith("files/"):
            names = set(uses(ast.parse(path.read_text("utf-8"))))
            if names:
                places[place] = names

    assert ALLOWED == places
