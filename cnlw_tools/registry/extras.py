"""Optional dependencies: which extra brings a package, and the command that installs it."""

from importlib import metadata
from pathlib import Path

from cnlw_tools import files
from cnlw_tools.files.texts import parse_json

DISTRIBUTION = "cnlw-tools"
EXTRAS = {  # package -> the extra that brings it, as in pyproject.toml
    "torch": "train",
    "torchvision": "train",
    "tensorboard": "train",
    "jinja2": "report",
    "matplotlib": "report",
    "flask": "browser",
    "waitress": "browser",
    "scipy": "sources",
    "timm": "timm",
    "distributed": "dask",
    "ray": "ray",
    "s3fs": "s3",
    "gcsfs": "gs",
    "mlcroissant": "croissant",
}


def install_command(extra: str) -> str:
    """Return the command that adds an extra to this installation, wherever it came from."""
    checkout = files.default_root()
    if (checkout / "pyproject.toml").is_file():
        place = "." if checkout == Path.cwd() else str(checkout)
        return f"pip install '{place}[{extra}]'"
    origin = _origin()
    return f"pip install '{DISTRIBUTION}[{extra}]{f' @ {origin}' if origin else ''}'"


def _origin() -> str:
    """Return the URL that this package was installed from; none where it came from an index."""
    text = metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
    if text is None:
        return ""
    origin = parse_json(text, "direct_url.json")
    url: str = origin["url"]
    if "vcs_info" not in origin:
        return url
    version_control = origin["vcs_info"]
    return f"{version_control['vcs']}+{url}@{version_control['commit_id']}"
