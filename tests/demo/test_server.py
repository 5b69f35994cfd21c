"""The demo's server, without a browser and without a model."""

import http.client
import json
import threading

import pytest

from bridge_tf.demo.examples import Example
from bridge_tf.demo.model import DemoModel
from bridge_tf.demo.server import DemoServer, Site
from bridge_tf.utils.errors import InputError


@pytest.fixture
def server(no_runtime):
    model = DemoModel("mine", b"weights", (8, 6, 1), ("cat", "dog"), (0.25, 0.5))
    with DemoServer(Site.of(model, [Example(b"picture", "cat")], no_runtime)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def ask(server):
    """Sends one request, its path as it is given, and returns the answer with its content."""

    def ask(path, method="GET", host=None, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
        connection.putrequest(method, path, skip_host=True)
        if host != "":
            connection.putheader("Host", host or f"127.0.0.1:{server.server_port}")
        if body:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        answer.content = answer.read()
        connection.close()
        return answer

    return ask


@pytest.mark.parametrize(
    ("path", "content_type", "content"),
    [
        ("/", "text/html; charset=utf-8", b"<!doctype html>"),
        ("/main.js", "text/javascript; charset=utf-8", b"// "),
        ("/style.css", "text/css; charset=utf-8", b":root"),
        ("/icon.svg", "image/svg+xml", b"<svg"),
        ("/runtime/core.js", "text/javascript; charset=utf-8", b"dist/index.js"),
        ("/runtime/wasm-utils.js", "text/javascript; charset=utf-8", b"utils"),
        ("/runtime/wasm/litert_wasm_internal.wasm", "application/wasm", b"wasm/"),
        ("/examples/0.png", "image/png", b"picture"),
        ("/model.tflite?again", "application/octet-stream", b"weights"),
    ],
)
def test_files_come_with_their_types_and_rules(ask, path, content_type, content):
    answer = ask(path)
    assert answer.status == 200
    assert answer.getheader("Content-Type") == content_type
    assert answer.content.startswith(content)
    assert answer.getheader("Cache-Control") == "no-store"
    assert answer.getheader("X-Content-Type-Options") == "nosniff"
    policy = answer.getheader("Content-Security-Policy")
    assert policy.startswith("default-src 'self'; script-src 'self' 'wasm-unsafe-eval' 'sha256-")
    assert "'unsafe-" not in policy
    head = ask(path, method="HEAD")
    assert head.content == b""
    assert head.getheader("Content-Length") == str(len(answer.content))


def test_it_tells_about_the_model(ask):
    assert json.loads(ask("/about.json").content) == {
        "name": "mine",
        "height": 8,
        "width": 6,
        "channels": 1,
        "labels": ["cat", "dog"],
        "positions": [0.25, 0.5],
        "temperature": 1.0,
        "examples": [{"image": "examples/0.png", "label": "cat"}],
    }


@pytest.mark.parametrize(
    "path",
    [
        "/secret.js",
        "/index.html",
        "/../server.py",
        "/runtime/../../secret.js",
        "/runtime/%2e%2e/%2e%2e/secret.js",
        "/runtime/wasm/../../../secret.js",
        "//etc/passwd",
        "/etc/passwd",
        "/examples/1.png",
        "/examples/",
        "*",
        "http://127.0.0.1/",
    ],
)
def test_there_are_no_other_files(ask, path):
    answer = ask(path)
    assert answer.status == 404
    assert answer.content == b"Not Found\n"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_there_are_no_other_methods(ask, method):
    answer = ask("/", method=method, body=b"data" if method in ("POST", "PUT") else None)
    assert answer.status == 405
    assert answer.getheader("Allow") == "GET, HEAD"


def test_it_answers_to_names_of_this_machine_only(ask, server):
    port = server.server_port
    assert ask("/", host=f"localhost:{port}").status == 200
    for host in (
        "",
        "attacker.example",
        f"attacker.example:{port}",
        "127.0.0.1",
        f"0.0.0.0:{port}",
    ):
        answer = ask("/model.tflite", host=host)
        assert answer.status == 421
        assert b"weights" not in answer.content
    assert server.server_address[0] == "127.0.0.1"


def test_a_port_in_use_is_named(server):
    with pytest.raises(
        InputError, match=rf"`port={server.server_port}`: .* in use.*; name another"
    ):
        DemoServer(server.site, server.server_port)
