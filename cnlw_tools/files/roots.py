"""Roots: folders that hold manifests/, annotations/ and pipelines/.

The package comes with one. What a user looks up below a root of their own is taken from there, or
from the package if that root does not have it.
"""

from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath

from cnlw_tools.files.mirror import local_copy
from cnlw_tools.files.outputs import changed_folder

MAX_ROOTS = 3  # that an error names
FOLDERS = ("manifests", "annotations", "pipelines")
# In this order changed files are put at an address: votes have the numbers of annotators, and say
# something of candidates.
WRITTEN_FOLDERS = ("annotators", "annotations", "manifests")


def default_root() -> Path:
    """Return the root that comes with the package, in a wheel or a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "data"
    return installed if installed.is_dir() else package.parent


def require_root(root: Path | str | None) -> Path:
    """Return the root to look in first: the one given, or the package's where none is given.

    Of an address, its mirror is returned.

    Raises:
        FileNotFoundError: the folder given holds nothing that is looked up below a root
    """
    if root is None:
        return default_root()
    place, root = root, local_copy(root, _is_below_root)
    if not any((root / name).is_dir() for name in FOLDERS):
        raise FileNotFoundError(_explain_missing_root(place, root))
    return root


def open_root(root: Path | str) -> AbstractContextManager[Path]:
    """Return a block in which tables are written below a root.

    Tables that are written for an address are put when the block ends, and the class list, without
    which there is no dataset, comes last.

    Args:
        root: the folder, which need not exist, or the address

    Raises:
        OSError: as for `changed_folder`
    """
    return changed_folder(root, "tables", _is_written, _order)


def _is_written(name: str) -> bool:
    """Return whether commands write a file below a root for other machines, too."""
    return name.partition("/")[0] in WRITTEN_FOLDERS and not name.endswith("/.gitignore")


def _order(name: str) -> tuple[bool, int, str]:
    is_last = PurePosixPath(name).name == "classes.csv"
    return is_last, WRITTEN_FOLDERS.index(name.partition("/")[0]), name


def _explain_missing_root(place: Path | str, root: Path) -> str:
    """Return an error that names folders which may be meant."""
    is_folder = root.is_dir()
    nearby = list_roots(root if is_folder else Path()) if Path(place) == root else []
    names = [str(folder) for folder in nearby[:MAX_ROOTS]]
    guess = f", such as {' or '.join(names)}" if names else ""
    if is_folder:
        return (
            f"{place}: this folder has none of the folders {', '.join(FOLDERS)}: "
            f"give a --root that has at least one of them{guess}"
        )
    return (
        f"{place}: there is no such folder: give a --root that has at least one of the folders "
        f"{', '.join(FOLDERS)}{guess}"
    )


def list_roots(folder: Path) -> list[Path]:
    """Return the folders in a folder that have manifests/, as `cnlw new` writes it, sorted."""
    return [path.parent for path in sorted(folder.glob("*/manifests"))]


def _is_below_root(name: str) -> bool:
    return name.partition("/")[0] in FOLDERS


def root_chain(root: Path) -> list[Path]:
    """Return the roots to look in, in this order: the one given, then the package's."""
    package_root = default_root()
    if root.resolve() == package_root.resolve():
        return [root]
    return [root, package_root]


def find_below(root: Path, path: Path) -> Path | None:
    """Return a relative path below the first root that has it, or None if no root has it."""
    for folder in root_chain(root):
        if (folder / path).exists():
            return folder / path
    return None


def find_toml_file(root: Path, folder: Path, name: str) -> Path | None:
    """Return the one of `find_toml_files` that has a name, or None if there is none."""
    if Path(name).name != name:  # it would lead to another folder
        return None
    return find_below(root, folder / f"{name}.toml")


def find_toml_files(root: Path, folder: Path) -> dict[str, Path]:
    """Return the TOML files of a folder below the roots by their names, sorted.

    If two files have the same name, that of the first root counts.
    """
    paths: dict[str, Path] = {}
    for chained in root_chain(root):
        for path in (chained / folder).glob("*.toml"):
            paths.setdefault(path.stem, path)
    return dict(sorted(paths.items()))


def suggest_root(root: Path, path: Path) -> str:
    """Return `` Give --root DIR: it has PATH``, or nothing if no root nearby has the path.

    The working directory and the folders in it are searched: `cnlw import` may have written there.

    Args:
        root: where the path was looked up in vain
        path: relative to a root
    """
    searched = [folder.resolve() for folder in root_chain(root)]
    for folder in [Path(), *sorted(Path().glob("*/"))]:
        if (folder / path).exists() and folder.resolve() not in searched:
            return f" Give --root {folder}: it has {path.as_posix()}."
    return ""
