"""A server on loopback that speaks the part of Google Cloud Storage that `gcsfs` uses.

It keeps one bucket `bucket`: objects by name, each with its generation. `fail` makes requests fail.
"""

import json
import re
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

UPLOAD = "/upload/storage/v1/b/bucket/o"
OBJECTS = "/storage/v1/b/bucket/o"
DOWNLOAD = "/download/storage/v1/b/bucket/o/"


@dataclass
class Bucket:
    """What the server knows."""

    objects: dict[str, bytes] = field(default_factory=dict)
    generations: dict[str, int] = field(default_factory=dict)
    times: dict[str, str] = field(default_factory=dict)
    puts: list[str] = field(default_factory=list)  # the name of each object that was kept
    uploads: dict[str, dict[str, Any]] = field(default_factory=dict)  # that come in parts
    requests: list[str] = field(default_factory=list)
    faults: list[list[Any]] = field(default_factory=list)  # pattern, status, how many times
    lock: Any = field(default_factory=Lock)
    url: str = ""

    def fail(self, pattern: str, status: int, n: int = 1) -> None:
        """Make the next n requests fail whose method and path match."""
        self.faults.append([pattern, status, n])

    def find_fault(self, line: str) -> int:
        """Return the status with which a request fails, or 0."""
        with self.lock:
            self.requests.append(line)
            for fault in self.faults:
                if fault[2] and re.search(fault[0], line):
                    fault[2] -= 1
                    return int(fault[1])
        return 0

    def describe(self, name: str) -> dict[str, Any]:
        """Return what the storage says of an object."""
        content = self.objects[name]
        return {
            "kind": "storage#object",
            "name": name,
            "bucket": "bucket",
            "size": str(len(content)),
            "generation": str(self.generations[name]),
            "md5Hash": b64encode(md5(content).digest()).decode(),  # noqa: S324, as the storage
            "updated": self.times[name],
            "timeCreated": self.times[name],
        }

    def put(self, name: str, content: bytes, generation: str | None) -> dict[str, Any] | None:
        """Keep an object, unless another generation is expected to be there."""
        with self.lock:
            if generation is not None and int(generation) != self.generations.get(name, 0):
                return None
            self.puts.append(name)
            self.objects[name] = content
            self.generations[name] = len(self.puts)
            self.times[name] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            return self.describe(name)

    def delete(self, name: str) -> bool:
        """Delete an object; return whether it was there."""
        self.generations.pop(name, None)
        return self.objects.pop(name, None) is not None


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of the client."""

    bucket: Bucket
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # which waits 40 ms between the head and the body

    def handle_any(self) -> None:
        """Answer one request, or fail."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        status = self.bucket.find_fault(f"{self.command} {unquote(parts.path)}")
        if status:
            self.send_json(status, {"error": {"code": status, "message": "as asked"}})
        elif parts.path.startswith(UPLOAD):
            self.upload(query, body)
        elif parts.path == OBJECTS:
            self.list_objects(query.get("prefix", ""), query.get("delimiter", ""))
        elif parts.path.startswith(DOWNLOAD):
            self.download(unquote(parts.path.removeprefix(DOWNLOAD)))
        elif parts.path.startswith(OBJECTS):
            self.answer_about(unquote(parts.path.removeprefix(f"{OBJECTS}/")), query)
        else:
            self.send_json(404, {"error": {"code": 404, "message": f"no {parts.path}"}})

    do_GET = do_POST = do_PUT = do_DELETE = handle_any

    def upload(self, query: dict[str, str], body: bytes) -> None:
        """Take an object, in one request or in parts."""
        generation = query.get("ifGenerationMatch")
        if self.command == "DELETE":
            self.answer(499, b"", {})  # the client drops what it has begun
        elif query.get("upload_id"):
            self.upload_part(query["upload_id"], body)
        elif query["uploadType"] == "resumable":
            number = str(len(self.bucket.uploads))
            upload = {"name": query["name"], "body": b"", "generation": generation}
            self.bucket.uploads[number] = upload
            location = f"{self.bucket.url}{UPLOAD}?uploadType=resumable&upload_id={number}"
            self.answer(200, b"", {"Location": location})
        elif query["uploadType"] == "media":
            self.store(query["name"], body, generation)
        else:
            # two parts: what is said of the object, and its bytes
            _, about, content = body.removesuffix(b"\n--==0==--").split(b"--==0==", 2)
            name = json.loads(about.partition(b"\n\n")[2])["name"]
            self.store(name, content.partition(b"\n\n")[2], generation)

    def upload_part(self, number: str, body: bytes) -> None:
        """Take a part of an object."""
        upload = self.bucket.uploads[number]
        upload["body"] += body
        total = int(self.headers["Content-Range"].rpartition("/")[2])
        if len(upload["body"]) == total:
            self.store(upload["name"], upload["body"], upload["generation"])
        else:
            self.answer(308, b"", {"Range": f"bytes=0-{len(upload['body']) - 1}"})

    def store(self, name: str, content: bytes, generation: str | None) -> None:
        """Keep an object, or say that another generation is there."""
        description = self.bucket.put(name, content, generation)
        if description is None:
            self.send_json(412, {"error": {"code": 412, "message": "conditionNotMet"}})
        else:
            self.send_json(200, description)

    def list_objects(self, prefix: str, delimiter: str) -> None:
        """List the objects below a folder; no pages are made."""
        items, prefixes = [], {}
        for name in sorted(self.bucket.objects):
            if name.startswith(prefix):
                folder, slash, _ = name.removeprefix(prefix).partition(delimiter or "\0")
                if slash and delimiter:
                    prefixes[f"{prefix}{folder}/"] = None
                else:
                    items.append(self.bucket.describe(name))
        answer = {"kind": "storage#objects", "items": items, "prefixes": list(prefixes)}
        self.send_json(200, answer)

    def download(self, name: str) -> None:
        """Answer with an object, or with the part of it that is asked for."""
        if name not in self.bucket.objects:
            self.send_json(404, {"error": {"code": 404, "message": "no such object"}})
            return
        content = self.bucket.objects[name]
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if part:
            content = content[int(part[1]) : int(part[2]) + 1 if part[2] else None]
        self.answer(206 if part else 200, content, {})

    def answer_about(self, name: str, query: dict[str, str]) -> None:
        """Describe an object, or delete it."""
        if query.get("alt") == "media":
            self.download(name)
        elif name not in self.bucket.objects:
            self.send_json(404, {"error": {"code": 404, "message": "no such object"}})
        elif self.command == "DELETE":
            self.bucket.delete(name)
            self.answer(204, b"", {})
        else:
            self.send_json(200, self.bucket.describe(name))

    def send_json(self, status: int, value: Any) -> None:
        """Answer with JSON."""
        self.answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        """Answer with a body."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def start(bucket: Bucket) -> ThreadingHTTPServer:
    """Serve a bucket on a free port of loopback, and return the server."""
    handler = type("BucketHandler", (Handler,), {"bucket": bucket})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    bucket.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server
