"""Running `vaa`: in this process, in a process of its own, or in one without torch."""

import atexit
import csv
import io
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# A backbone and a size that train in seconds.
QUICK = (
    "--backbone", "resnet18", "--weights", "none", "--image-size", "64x32", "--batch-size", "8",
    "--lr", "1e-3", "--workers", "0",
)  # fmt: skip
# An engine that begins at once also with a model that was not there before.
TORCH_FP32 = ("--engine", "torch", "--precision", "fp32", "--workers", "0")


@dataclass(frozen=True)
class Outcome:
    """The output of a command, and its exit code."""

    code: int
    out: str
    err: str


def run_vaa(*arguments: str | Path, cwd: Path, stdin: str | None = None) -> Outcome:
    """Run `vaa` in this process, which has loaded torch already.

    Where the process itself matters (signals, limits, environment, exit), `run_process` is used.
    """
    from vaa_cli.app import run

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with working_folder(cwd), captured_streams(stdin) as read:
        try:
            code = run([*map(str, arguments)])
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        sys.stdout.flush()
        sys.stderr.flush()
        return Outcome(code, *read())


def newest_model(folder: Path) -> Path:
    """The model file of the newest run in a folder."""
    return folder / "runs" / "latest" / "best.safetensors"


def run_process(
    *arguments: str | Path,
    cwd: Path,
    stdin: str | None = None,
    environment: dict[str, str] | None = None,
    before: Callable[[], None] | None = None,
) -> Outcome:
    """Run the real `vaa` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "vaa_cli", *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=600,
        check=False,
        env={**os.environ, **(environment or {})},
        preexec_fn=before,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def run_without_torch(*arguments: str | Path, cwd: Path, stdin: str | None = None) -> Outcome:
    """Run `vaa` in a process in which loading torch is an error, one request after the other."""
    return _Torchless.shared().run([*map(str, arguments)], cwd, stdin)


class _Torchless:
    """A process without torch that runs many requests; it ends with this one."""

    _shared: "_Torchless | None" = None

    def __init__(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="vaa-no-torch-"))
        (folder / "torch.py").write_text("raise AssertionError('torch was loaded')\n")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.helpers.command"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        atexit.register(self._process.kill)

    @classmethod
    def shared(cls) -> "_Torchless":
        if cls._shared is None:
            cls._shared = cls()
        return cls._shared

    def run(self, arguments: list[str], cwd: Path, stdin: str | None) -> Outcome:
        assert self._process.stdin is not None and self._process.stdout is not None
        request = {"arguments": arguments, "cwd": str(cwd), "stdin": stdin}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return Outcome(**json.loads(self._process.stdout.readline()))


def _serve() -> None:
    """Run requests from stdin, a JSON object a line."""
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        arguments, cwd = request["arguments"], Path(request["cwd"])
        try:
            outcome = run_vaa(*arguments, cwd=cwd, stdin=request["stdin"])
        except Exception:
            outcome = Outcome(1, "", traceback.format_exc())
        answers.write(json.dumps(asdict(outcome)) + "\n")
        answers.flush()


@contextmanager
def working_folder(folder: Path) -> Iterator[None]:
    """Work in a folder for the time of the block."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def captured_streams(stdin: str | None) -> Iterator[Callable[[], tuple[str, str]]]:
    """Replace stdin, stdout and stderr, also for code that writes to their descriptors.

    Yields:
        A function that reads what was written to stdout and to stderr.
    """
    streams = sys.stdin, sys.stdout, sys.stderr
    saved = [os.dup(number) for number in (1, 2)]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:

        def read() -> tuple[str, str]:
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode("utf-8", errors="surrogateescape"))
            return texts[0], texts[1]

        content = (stdin or "").encode("utf-8", errors="surrogateescape")
        try:
            for number, file in ((1, out), (2, err)):
                os.dup2(file.fileno(), number)
            sys.stdin = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8")
            sys.stdout = _text_stream(1)
            sys.stderr = _text_stream(2)
            yield read
        finally:
            sys.stdin, sys.stdout, sys.stderr = streams
            for number, descriptor in zip((1, 2), saved, strict=True):
                os.dup2(descriptor, number)
                os.close(descriptor)


def _text_stream(descriptor: int) -> io.TextIOWrapper:
    file = open(descriptor, "wb", closefd=False)  # noqa: SIM115 (it does not own the descriptor)
    return io.TextIOWrapper(file, encoding="utf-8", write_through=True)


def assert_one_line_error(outcome: Outcome, *parts: str) -> None:
    """The outcome is a wrong request: exit code 2, one line on stderr that has all the parts."""
    assert outcome.code == 2, outcome
    lines = outcome.err.strip().splitlines()
    errors = [line for line in lines if line.startswith("error:")]
    assert len(errors) == 1, outcome.err
    assert lines[-1] == errors[0], outcome.err
    assert "Traceback" not in outcome.err
    for part in parts:
        assert part in errors[0], (part, errors[0])


def read_rows(text: str) -> list[dict[str, str]]:
    """The rows of a CSV by column name."""
    return list(csv.DictReader(text.splitlines()))


def contents(folder: Path) -> Sequence[str]:
    """The names in a folder, hidden ones too."""
    return sorted(path.name for path in folder.iterdir())


def limit_file_size(size: int) -> None:
    """Files cannot grow beyond a size: what a full disk looks like to a process."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@contextmanager
def limited_file_size(size: int) -> Iterator[None]:
    """In the block, files of this process cannot grow beyond a size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


if __name__ == "__main__":
    _serve()
