"""The demo's server: a fixed set of files, only for this machine."""

import base64
import dataclasses
import hashlib
import json
import pathlib
import re
import socketserver
import sys
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bridge_tf.demo.examples import Example
from bridge_tf.demo.model import DemoModel
from bridge_tf.demo.runtime import runtime_files
from bridge_tf.utils.errors import InputError

HOST = "127.0.0.1"
_PAGE = pathlib.Path(__file__).parent / "page"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".wasm": "application/wasm",
    ".tflite": "application/octet-stream",
}
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Isolated from other pages, so that the browser allows a fine clock for the latencies.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclasses.dataclass(frozen=True)
class Site:
    """A server's files (paths or contents) by URL path, and its Content-Security-Policy."""

    files: dict[str, pathlib.Path | bytes]
    policy: str

    @classmethod
    def of(cls, model: DemoModel, examples: Sequence[Example], runtime: pathlib.Path) -> "Site":
        """The demo of a model, with example pictures and a folder of the web runtime."""
        about = {
            "name": model.name,
            **dict(zip(("height", "width", "channels"), model.image_shape, strict=True)),
            "labels": model.labels,
            "positions": model.positions,
            "temperature": model.temperature,
            "examples": [
                {"image": f"examples/{k}.png", "label": example.label}
                for k, example in enumerate(examples)
            ],
        }
        files = {f"/{path.name}": path for path in _PAGE.iterdir() if path.is_file()}
        files["/"] = files.pop("/index.html")
        files |= {f"/examples/{k}.png": example.png for k, example in enumerate(examples)}
        files |= {f"/runtime/{name}": path for name, path in runtime_files(runtime).items()}
        files |= {"/model.tflite": model.content, "/about.json": json.dumps(about).encode()}
        return cls(files, _policy(files["/"].read_text(encoding="utf-8")))


class DemoServer(ThreadingHTTPServer):
    """Serves a `Site` on 127.0.0.1, only to requests whose Host is this machine.

    Raises:
        InputError: the port can't be used.
    """

    daemon_threads = True

    def __init__(self, site: Site, port: int = 0):
        self.site = site
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise InputError(
                f"`port={port}`: can't be used ({error.strerror}); name another, or 0 for any "
                "free one"
            ) from error
        self.url = f"http://{HOST}:{self.server_port}/"
        # Against DNS rebinding: other names that lead here belong to others' pages.
        self.hosts = {f"{name}:{self.server_port}" for name in (HOST, "localhost")}

    def server_bind(self) -> None:
        # HTTPServer's own looks up the machine's name in the network.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request, client_address) -> None:
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    server: DemoServer

    def do_GET(self) -> None:
        """Sends a file, or only the head for HEAD."""
        path = self.path.partition("?")[0]
        if self.headers.get("Host") not in self.server.hosts:
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST)
        elif path not in self.server.site.files:
            self._refuse(HTTPStatus.NOT_FOUND)
        else:
            found = self.server.site.files[path]
            content = found if isinstance(found, bytes) else found.read_bytes()
            ending = pathlib.PurePosixPath("/index.html" if path == "/" else path).suffix
            self._answer(HTTPStatus.OK, content, _TYPES[ending])

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """Refuses a method, without reading the body."""
        self.close_connection = True
        self._refuse(HTTPStatus.METHOD_NOT_ALLOWED)

    do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_POST

    def _refuse(self, status: HTTPStatus) -> None:
        self._answer(status, f"{status.phrase}\n".encode(), "text/plain; charset=utf-8")

    def _answer(self, status: HTTPStatus, content: bytes, content_type: str) -> None:
        self.send_response(status)
        headers = {"Content-Type": content_type, "Content-Length": str(len(content)), **_HEADERS}
        headers["Content-Security-Policy"] = self.server.site.policy
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = "GET, HEAD"
        if self.close_connection:
            headers["Connection"] = "close"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def version_string(self) -> str:
        return "bridge_tf"

    def log_message(self, format: str, *values) -> None:
        """Logs nothing."""


def _policy(page: str) -> str:
    """Allows the server's own files, and the page's one inline script."""
    import_map = re.search(r'<script type="importmap">(.*?)</script>', page, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(import_map.encode()).digest()).decode()
    return (
        f"default-src 'self'; script-src 'self' 'wasm-unsafe-eval' 'sha256-{digest}'; "
        "img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
