"""A small web server on the loopback, in a process of its own: one picture for each path."""

import os
import signal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO


class Server(ThreadingHTTPServer):
    """A server that prints nothing about clients that were killed."""

    def handle_error(self, *_: object) -> None:
        """Print nothing."""


class Handler(BaseHTTPRequestHandler):
    """Answers /N.jpg with a picture of that number, and every tenth path with 404."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        """Answer."""
        number = int("".join(c for c in self.path if c.isdecimal()) or 0)
        body = b"gone" if number % 10 == 9 else draw_picture(number)
        self.send_response(404 if number % 10 == 9 else 200)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def draw_picture(number: int, size: int = 24) -> bytes:
    """Return a JPEG of random smooth colours."""
    import numpy as np
    from PIL import Image

    pixels = np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8)
    picture = Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC)
    file = BytesIO()
    picture.save(file, "JPEG", quality=90)
    return file.getvalue()


def start_server() -> tuple[int, int]:
    """Start the server; return its port and process id. It ends with this process."""
    server = Server(("127.0.0.1", 0), Handler)
    port = server.server_address[1]
    parent = os.getpid()
    pid = os.fork()
    if pid:
        server.socket.close()
        return port, pid
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(0)
    server.serve_forever()
    os._exit(0)
