"""A server of the S3 protocol on this machine, moto's, which can fail as real ones do.

It runs in a process of its own, since what is tested has work for this one.
"""

import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test-key",
    "AWS_SECRET_ACCESS_KEY": "test-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "NO_PROXY": "127.0.0.1",
}
SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)


@contextmanager
def s3_server(busy: float = 0.0, cut: float = 0.0, seed: int = 0) -> Iterator[str]:
    """Run a server; gives its address.

    Args:
        busy: probability that a request is answered with 503.
        cut: probability that the body of an answer ends half way.
        seed: seed of which requests these are.
    """
    command = [sys.executable, "-m", "tests.helpers.s3_server", str(busy), str(cut), str(seed)]
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


class _Failing:
    """A WSGI application that answers some requests as a busy server or a bad line would."""

    def __init__(self, application: Any, busy: float, cut: float, seed: int) -> None:
        self._application, self._busy, self._cut = application, busy, cut
        self._random, self._lock = random.Random(seed), threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with self._lock:
            busy, cut = self._random.random() < self._busy, self._random.random() < self._cut
        if busy:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            headers = [("Content-Type", "text/xml"), ("Content-Length", str(len(SLOW_DOWN)))]
            start_response("503 Slow Down", headers)
            return [SLOW_DOWN]
        body: Iterable[bytes] = self._application(environ, start_response)
        return self._half(body) if cut and environ["REQUEST_METHOD"] == "GET" else body

    @staticmethod
    def _half(body: Iterable[bytes]) -> Iterator[bytes]:
        content = b"".join(body)
        yield content[: len(content) // 2]
        raise ConnectionResetError  # the length in the header is that of all of it


def _serve(busy: float, cut: float, seed: int) -> None:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    application = _Failing(DomainDispatcherApplication(create_backend_app), busy, cut, seed)
    server = make_server("127.0.0.1", 0, application, threaded=True)
    print(server.server_port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()  # until whoever started it ends


if __name__ == "__main__":
    _serve(float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
