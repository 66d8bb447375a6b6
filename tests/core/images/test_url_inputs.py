"""Pictures at URLs: the same ones, in the same order, as below a folder of this machine."""

import io
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.helpers.pictures import plain
from vaa_cli.core.errors import PictureError, VAAError
from vaa_cli.core.images.inputs import Inputs, find_inputs
from vaa_cli.core.images.read_ahead import requests_ahead
from vaa_cli.core.images.requests import ImageSource

fsspec = pytest.importorskip("fsspec")

ROOT = "memory://people"


@pytest.fixture(autouse=True)
def storage() -> Iterator[None]:
    fs = fsspec.filesystem("memory")
    fs.mkdirs("/people")
    yield
    fs.rm("/people", recursive=True)


def put(name: str, content: bytes = b"x") -> None:
    fsspec.filesystem("memory").pipe_file(f"/people/{name}", content)


def png(colour: tuple[int, int, int] = (255, 0, 0)) -> bytes:
    buffer = io.BytesIO()
    plain(colour).save(buffer, "PNG")
    return buffer.getvalue()


def found(*names: str, stdin: str = "") -> Inputs:
    return find_inputs(names, io.StringIO(stdin))


def test_a_folder_names_its_pictures() -> None:
    for name in ("b.jpg", "a.png", "notes.txt", "sub/c.JPG", "sub/.hidden/d.jpg"):
        put(name)
    inputs = found(f"{ROOT}/")
    assert [source.path for source in inputs.sources] == [
        f"{ROOT}/a.png", f"{ROOT}/b.jpg", f"{ROOT}/sub/c.JPG",
    ]  # fmt: skip
    assert inputs.passed_over == {".txt": 1} and inputs.count is None


def test_a_file_and_a_pattern_are_counted() -> None:
    for name in ("a.jpg", "b.jpg", "c.png"):
        put(name)
    assert found(f"{ROOT}/a.jpg").count == 1
    inputs = found(f"{ROOT}/*.jpg", f"{ROOT}/c.png")
    assert inputs.count == 3
    names = [source.path for source in inputs.sources]
    assert names == [f"{ROOT}/a.jpg", f"{ROOT}/b.jpg", f"{ROOT}/c.png"]


def test_names_on_stdin_are_not_asked_for_before_they_are_read() -> None:
    put("a.png", png())
    sources = found("-", stdin=f"{ROOT}/a.png\n{ROOT}/none.png\n").sources
    first, second = requests_ahead(sources)
    assert (first.path, first.problem) == (f"{ROOT}/a.png", None)
    assert first.content == png()
    assert (second.path, second.problem) == (f"{ROOT}/none.png", "nothing is there")


def test_a_table_names_pictures_beside_it_and_at_other_urls(tmp_path: Path) -> None:
    table = f"image,left,top,width,height\nsub/a.png,1,2,3,4\n{ROOT}/b.png,,,,\n"
    put("people.csv", table.encode())
    (tmp_path / "people.csv").write_text(f"image\n{ROOT}/b.png\n")
    inputs = found(f"{ROOT}/people.csv")
    assert inputs.has_boxes and inputs.count == 2
    pictures = [(source.path, source.box and tuple(source.box)) for source in inputs.sources]
    assert pictures == [(f"{ROOT}/sub/a.png", (1, 2, 3, 4)), (f"{ROOT}/b.png", None)]
    (local,) = found(str(tmp_path / "people.csv")).sources
    assert local.path == f"{ROOT}/b.png" and local.is_remote


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tar.xz", "zip"])
def test_archives_are_read_as_those_of_this_machine(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"people.{ending}"
    pictures = {"a.png": png(), "b/c.png": png((0, 255, 0)), "notes.txt": b"none"}
    if ending == "zip":
        with zipfile.ZipFile(path, "w") as packed:
            for name, content in pictures.items():
                packed.writestr(name, content)
    else:
        mode = "w" + ending.removeprefix("tar").replace(".", ":")
        with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
            for name, content in pictures.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    put(path.name, path.read_bytes())
    url = f"{ROOT}/{path.name}"
    here = list(requests_ahead(found(str(path)).sources))
    there = list(requests_ahead(found(url).sources))
    assert [one.path for one in there] == [f"{url}/a.png", f"{url}/b/c.png"]
    assert [one.content for one in there] == [one.content for one in here]
    chained = found(f"zip://*.png::{url}") if ending == "zip" else None
    if chained is not None:
        names = [one.path for one in requests_ahead(chained.sources)]
        assert names == [f"zip://a.png::{url}"]


def test_a_broken_archive_is_a_row() -> None:
    put("people.zip", b"PK none")
    put("people.tar", b"none")
    for name in ("people.zip", "people.tar"):
        (source,) = found(f"{ROOT}/{name}").sources
        assert source.problem is not None and source.problem.startswith("broken archive")


def test_what_is_not_there_is_a_row_among_others_and_refused_alone() -> None:
    put("a.jpg")
    missing = f"{ROOT}/none.jpg"
    assert [s.problem for s in found(missing, f"{ROOT}/a.jpg").sources] == [
        "nothing is there",
        None,
    ]
    with pytest.raises(VAAError, match=f"^{missing}: nothing is there$"):
        found(missing)
    put("sub/notes.txt")
    with pytest.raises(VAAError, match="no pictures in this folder"):
        found(f"{ROOT}/sub/")
    with pytest.raises(VAAError, match="no file fits this pattern"):
        found(f"{ROOT}/*.webp")


def test_requests_keep_their_order_while_many_are_read() -> None:
    running, most, lock = 0, 0, threading.Lock()

    def read(number: int) -> bytes:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.001 * (number % 7))
        with lock:
            running -= 1
        if number == 13:
            raise PictureError("broken on the way")
        return bytes([number])

    sources = [
        ImageSource(f"{number}.jpg", read=partial(read, number), is_remote=True)
        if number % 3
        else ImageSource(f"{number}.jpg")
        for number in range(200)
    ]
    requests = list(requests_ahead(sources, start=5, readers=8))
    assert [request.path for request in requests] == [f"{number}.jpg" for number in range(200)]
    assert [request.row for request in requests] == list(range(5, 205))
    assert requests[13].problem == "broken on the way"
    wanted = [bytes([number]) if number % 3 and number != 13 else None for number in range(200)]
    assert [request.content for request in requests] == wanted
    assert 1 < most <= 8


def test_pictures_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    limit, readers = 10_000, 2
    monkeypatch.setattr("vaa_cli.core.images.read_ahead._WAITING", limit)
    begun = 0

    def read() -> bytes:
        nonlocal begun
        begun += 1
        return bytes(1000)

    sources = (ImageSource(str(number), read=read, is_remote=True) for number in range(200))
    for taken, request in enumerate(requests_ahead(sources, readers=readers), start=1):
        assert request.content == bytes(1000)
        assert begun <= taken + limit / 1000 + readers
        time.sleep(0.001)  # the threads could go on
    assert begun == 200


def test_what_changes_after_it_was_listed() -> None:
    """One vanishes, one grows, one comes: each that was listed has its row."""
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        put(name, b"old")
    sources = found(f"{ROOT}/").sources
    listed = [next(sources)]
    fsspec.filesystem("memory").rm("/people/b.jpg")
    put("c.jpg", b"new and larger")
    put("d.jpg", b"late")
    listed += sources
    requests = list(requests_ahead(listed))
    assert [(one.path.rsplit("/", 1)[1], one.content, one.problem) for one in requests] == [
        ("a.jpg", b"old", None),
        ("b.jpg", None, "nothing is there"),
        ("c.jpg", b"new and larger", None),
    ]
