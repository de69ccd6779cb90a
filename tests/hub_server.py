"""A server on loopback that speaks the part of the Hugging Face Hub that a push needs.

It also serves the files as `hf://` reads and writes them. It keeps one dataset repository: files by
name, commits, tags. `fail` makes requests fail.
"""

import json
import re
from base64 import b64decode
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import unquote, unquote_plus

TOKEN = "hf_right"  # noqa: S105, of nothing
Answer = tuple[int, Any]  # status, and what is sent as JSON
LARGE = (".parquet", ".png")  # what the Hub keeps beside git


@dataclass
class Fault:
    """A request that fails: the first ``n`` whose method and path match."""

    pattern: str  # of "METHOD path"
    status: int  # 0: the connection is closed without an answer
    n: int = 1


@dataclass
class Hub:
    """What the server knows."""

    name: str = "lab/noise"
    exists: bool = False
    private: bool | None = None
    gated: str | bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)  # by sha256
    commits: list[dict[str, Any]] = field(default_factory=list)  # what each added and deleted
    tags: dict[str, str] = field(default_factory=dict)  # name -> commit
    versions: dict[str, dict[str, bytes]] = field(default_factory=dict)  # tag -> files
    requests: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)  # of the card
    lock: Any = field(default_factory=Lock)
    url: str = ""

    def fail(self, pattern: str, status: int, n: int = 1) -> None:
        """Make the next n requests that match fail."""
        self.faults.append(Fault(pattern, status, n))

    @property
    def puts(self) -> list[str]:
        """The name of each file that was kept, in order."""
        return [name for commit in self.commits for name in commit["added"]]

    @property
    def head(self) -> str:
        """The id of the newest commit."""
        return f"{len(self.commits):040x}"

    def find_fault(self, line: str) -> Fault | None:
        """Return the fault of a request, which then happens once less."""
        with self.lock:
            self.requests.append(line)
            for fault in self.faults:
                if fault.n and re.search(fault.pattern, line):
                    fault.n -= 1
                    return fault
        return None

    def describe(self, name: str, content: bytes) -> dict[str, Any]:
        """Return what the Hub says of a file."""
        blob = b"blob %d\0" % len(content) + content
        entry = {"type": "file", "path": name, "size": len(content), "oid": sha1(blob).hexdigest()}  # noqa: S324, as git
        if name.endswith(LARGE):
            digest = sha256(content).hexdigest()
            entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 130}
        return entry

    def commit(self, lines: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
        """Apply a commit, and return status and answer."""
        header = lines[0]["value"]
        if header.get("parentCommit") not in (None, self.head):
            return 412, {"error": "the parent is not the head"}
        added, deleted = [], []
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                self.files[value["path"]] = b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.files[value["path"]] = self.large[value["oid"]]
            if line["key"] == "deletedFile":
                del self.files[value["path"]]
                deleted.append(value["path"])
            else:
                added.append(value["path"])
        self.commits.append({"added": added, "deleted": deleted})
        url = f"{self.url}/datasets/{self.name}/commit/{self.head}"
        return 200, {"success": True, "commitOid": self.head, "commitUrl": url}


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of the client."""

    hub: Hub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # which waits 40 ms between the head and the body

    def handle_any(self) -> None:
        """Answer one request, or fail."""
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else self.read_chunks()
        path = self.path.partition("?")[0]
        fault = self.hub.find_fault(f"{self.command} {path}")
        if fault is not None and fault.status == 0:
            self.close_connection = True
            self.connection.close()
            return
        if fault is not None:
            self.answer(fault.status, b"<html>refused</html>", "text/html")
            return
        if not path.startswith("/lfs/") and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.send_json(401, {"error": "Invalid credentials in Authorization header"})
            return
        self.route(path, body)

    do_GET = do_POST = do_PUT = do_HEAD = handle_any

    def route(self, path: str, body: bytes) -> None:
        """Answer a request that does not fail."""
        api = f"/api/datasets/{self.hub.name}"
        is_other = path.startswith("/api/datasets/") and not path.startswith(api)
        if is_other or (path.startswith(api) and not self.hub.exists):
            self.send_json(404, {"error": "RepoNotFound"})
            return
        routes = {
            "/api/repos/create": self.create,
            "/api/validate-yaml": self.check_card,
            f"{api}/settings": self.set_options,
            f"{api}/tree/": self.list_files,
            f"{api}/paths-info/": self.describe_files,
            f"{api}/refs": self.list_tags,
            f"{api}/preupload/": self.choose_modes,
            f"{api}/commit/": self.commit,
            f"{api}/tag/": self.add_tag,
            f"/datasets/{self.hub.name}.git/info/lfs/objects/batch": self.accept_large,
            "/lfs/": self.put_large,
            api: self.describe,  # the last: it begins like others
        }
        files = f"/datasets/{self.hub.name}/resolve/main/"
        if path.startswith(files):
            self.send_file(unquote(path.removeprefix(files)))
            return
        for beginning, answer in routes.items():
            if path.startswith(beginning):
                self.send_json(*answer(body))
                return
        self.send_json(404, {"error": f"no {path}"})

    def create(self, body: bytes) -> Answer:
        """Create the repository, or say that it is there."""
        existed, self.hub.exists = self.hub.exists, True
        asked = json.loads(body)
        if not existed:
            self.hub.private = asked.get("private", asked.get("visibility") == "private")
        return 409 if existed else 200, {"url": f"{self.hub.url}/datasets/{self.hub.name}"}

    def check_card(self, _body: bytes) -> Answer:
        """Say what is odd about a card."""
        return 200, {"warnings": [{"message": text} for text in self.hub.warnings]}

    def set_options(self, body: bytes) -> Answer:
        """Gate the repository."""
        self.hub.gated = json.loads(body)["gated"]
        return 200, {}

    def list_files(self, _body: bytes) -> Answer:
        """List all files, of now or of a tag, or those below a folder; no pages are made."""
        rest = self.path.partition("?")[0].partition("/tree/")[2]
        revision, _, folder = unquote(rest).partition("/")
        files = self.hub.versions.get(revision, self.hub.files)
        prefix = f"{folder}/" if folder else ""
        names = [name for name in sorted(files) if name.startswith(prefix)]
        if folder and not names:
            return 404, {"error": "EntryNotFound"}
        if "recursive=true" in self.path.lower():
            return 200, [self.hub.describe(name, files[name]) for name in names]
        entries = {}
        for name in names:
            first, slash, _ = name.removeprefix(prefix).partition("/")
            path = f"{prefix}{first}"
            if slash:
                entries[path] = {"type": "directory", "path": path, "oid": "0", "size": 0}
            else:
                entries[path] = self.hub.describe(name, files[name])
        return 200, list(entries.values())

    def describe_files(self, body: bytes) -> Answer:
        """Say what the files of a list are, with the commit that each is from."""
        paths = [
            unquote_plus(pair[6:]) for pair in body.decode().split("&") if pair[:6] == "paths="
        ]
        commit = {"id": self.hub.head, "title": "x", "date": "2026-01-01T00:00:00.000Z"}
        found = [path for path in paths if path in self.hub.files]
        return 200, [
            self.hub.describe(p, self.hub.files[p]) | {"lastCommit": commit} for p in found
        ]

    def list_tags(self, _body: bytes) -> Answer:
        """List the tags."""
        tags = [
            {"name": name, "ref": f"refs/tags/{name}", "targetCommit": oid}
            for name, oid in self.hub.tags.items()
        ]
        return 200, {"branches": [], "converts": [], "tags": tags}

    def choose_modes(self, body: bytes) -> Answer:
        """Say how each file is to be sent."""
        return 200, {"files": [mode_of(file) for file in json.loads(body)["files"]]}

    def commit(self, body: bytes) -> Answer:
        """Apply a commit."""
        return self.hub.commit([json.loads(line) for line in body.splitlines()])

    def add_tag(self, body: bytes) -> Answer:
        """Tag the newest commit."""
        tag = json.loads(body)["tag"]
        self.hub.tags[tag] = self.hub.head
        self.hub.versions[tag] = dict(self.hub.files)
        return 200, {}

    def accept_large(self, body: bytes) -> Answer:
        """Say where each large file is to be put; nothing of those that are there."""
        objects = []
        for asked in json.loads(body)["objects"]:
            answer = {"oid": asked["oid"], "size": asked["size"]}
            if asked["oid"] not in self.hub.large:
                answer["actions"] = {"upload": {"href": f"{self.hub.url}/lfs/{asked['oid']}"}}
            objects.append(answer)
        return 200, {"transfer": "basic", "objects": objects}

    def put_large(self, body: bytes) -> Answer:
        """Keep a large file."""
        digest = sha256(body).hexdigest()
        assert self.path == f"/lfs/{digest}"
        self.hub.large[digest] = body
        return 200, {}

    def describe(self, _body: bytes) -> Answer:
        """Say what the repository is."""
        private = bool(self.hub.private)
        return 200, {"id": self.hub.name, "sha": self.hub.head, "private": private}

    def read_chunks(self) -> bytes:
        """Return a body that comes in chunks."""
        body = b""
        while "chunked" in (self.headers.get("Transfer-Encoding") or ""):
            size = int(self.rfile.readline(), 16)
            body += self.rfile.read(size)
            self.rfile.readline()
            if not size:
                break
        return body

    def send_json(self, status: int, value: Any) -> None:
        """Answer with JSON."""
        self.answer(status, json.dumps(value).encode(), "application/json")

    def send_file(self, name: str) -> None:
        """Answer with a file, or with the part of it that is asked for."""
        if name not in self.hub.files:
            self.send_json(404, {"error": "EntryNotFound"})
            return
        content = self.hub.files[name]
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if part:
            content = content[int(part[1]) : int(part[2]) + 1 if part[2] else None]
        self.answer(206 if part else 200, content, "application/octet-stream")

    def answer(self, status: int, body: bytes, kind: str) -> None:
        """Answer with a body."""
        self.send_response(status)
        for code in ("EntryNotFound", "RepoNotFound"):
            if code.encode() in body[:40]:
                self.send_header("X-Error-Code", code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def mode_of(file: dict[str, Any]) -> dict[str, Any]:
    """Return how a file is to be sent."""
    mode = "lfs" if file["path"].endswith(LARGE) else "regular"
    return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": None}


def start(hub: Hub) -> ThreadingHTTPServer:
    """Serve a hub on a free port of loopback, and return the server."""
    handler = type("HubHandler", (Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server
