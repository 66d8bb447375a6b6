"""Pictures in tar and zip archives, whole and broken."""

import bz2
import gzip
import io
import lzma
import os
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vaa_cli.core.images import archive_members
from vaa_cli.core.images.archives import archive_pictures, is_archive
from vaa_cli.core.images.requests import Request

MEMBERS = {
    "b.jpg": b"first" * 300,
    "deep/er/a.PNG": bytes(range(256)) * 5,
    "notes.txt": b"no picture",
    "._b.jpg": b"macOS leaves these",
    "__MACOSX/c.jpg": b"and these",
    ".hidden/d.jpg": b"hidden",
    "empty.gif": b"",
    'é\n,".webp': b"odd name" * 100,
}
WANTED = ["b.jpg", "deep/er/a.PNG", "empty.gif", 'é\n,".webp']


def tar_bytes(members: dict[str, bytes], format: int = tarfile.GNU_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zip_bytes(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def read(path: Path) -> list[Request]:
    """All that an archive gives, read at once, as it must be."""
    return [picture.request() for picture in archive_pictures(str(path))]


def read_with_peak(path: Path) -> tuple[list[Request], int]:
    """The same, and the most memory that it took, in bytes."""
    tracemalloc.start()
    try:
        found = read(path)
        return found, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("a.tar", tar_bytes),
        ("a.TAR.GZ", lambda m: gzip.compress(tar_bytes(m))),
        ("a.tgz", lambda m: gzip.compress(tar_bytes(m, tarfile.PAX_FORMAT))),
        ("a.tar.bz2", lambda m: bz2.compress(tar_bytes(m))),
        ("a.txz", lambda m: lzma.compress(tar_bytes(m))),
        ("gzipped.tar", lambda m: gzip.compress(tar_bytes(m))),
        ("a.zip", zip_bytes),
    ],
)
def test_pictures_come_whole_and_in_order(
    tmp_path: Path, name: str, pack: Callable[[dict[str, bytes]], bytes]
) -> None:
    path = tmp_path / name
    path.write_bytes(pack(MEMBERS))
    assert is_archive(name)
    assert read(path) == [Request(f"{path}/{n}", content=MEMBERS[n]) for n in WANTED]


def test_folders_are_no_pictures_and_devices_are_broken_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for kind in (tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            info = tarfile.TarInfo("x.jpg")
            info.type = kind
            archive.addfile(info)
    assert [request.problem for request in read(path)] == ["not a file"] * 2


def tar_with_links(path: Path, mode: str = "w") -> None:
    """A tar of d/a.jpg, and links to it and to what is not there."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, kind, target in (
            ("d/early.jpg", tarfile.SYMTYPE, "a.jpg"),
            ("d/a.jpg", tarfile.REGTYPE, ""),
            ("d/hard.jpg", tarfile.LNKTYPE, "d/a.jpg"),
            ("soft.jpg", tarfile.SYMTYPE, "d/../d/hard.jpg"),
            ("out.jpg", tarfile.SYMTYPE, "/etc/passwd"),
            ("circle.jpg", tarfile.SYMTYPE, "circle.jpg"),
            ("notes.txt", tarfile.SYMTYPE, "d/a.jpg"),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            info.size = 3 if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(b"abc"))


def test_links_in_a_tar_are_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    tar_with_links(path)
    found = {Path(r.path).name: r.content or r.problem for r in read(path)}
    assert found == {
        "early.jpg": b"abc",
        "a.jpg": b"abc",
        "hard.jpg": b"abc",
        "soft.jpg": b"abc",
        "out.jpg": "a link to /etc/passwd, which is not in the archive",
        "circle.jpg": "a link that leads in circles",
    }


def test_links_in_a_compressed_tar_are_rows_with_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    tar_with_links(path, "w:gz")
    found = {Path(r.path).name: r.content or r.problem for r in read(path)}
    assert len(found) == 6 and found.pop("a.jpg") == b"abc"
    assert all("link in a compressed archive" in str(problem) for problem in found.values())


def test_links_in_a_zip_are_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("d/a.jpg", b"abc")
        for name, target in (("d/b.jpg", "a.jpg"), ("c.jpg", "d/b.jpg"), ("out.jpg", "../x.jpg")):
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o120777 << 16
            archive.writestr(info, target)
    contents = [request.content or request.problem for request in read(path)]
    assert contents[:3] == [b"abc"] * 3
    assert contents[3] == "a link to ../x.jpg, which is not in the archive"


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("padding", [0, 512, 1 << 20])
def test_archives_behind_the_first_are_read(
    tmp_path: Path, pack: Callable[[bytes], bytes], padding: int
) -> None:
    """As `cat a.tar b.tar` makes them; GNU tar wants --ignore-zeros for that."""
    path = tmp_path / "a.tar"
    names = ["a.jpg", "b.jpg", "c.jpg"]
    parts = [pack(tar_bytes({name: name.encode()}) + bytes(padding)) for name in names]
    path.write_bytes(b"".join(parts))
    assert [request.content for request in read(path)] == [name.encode() for name in names]


def test_of_a_second_archive_that_is_cut_there_is_a_row(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar_bytes({"a.jpg": b"abc"}) + tar_bytes({"b.jpg": b"x" * 5000})[:3000])
    problems = [request.problem for request in read(path)]
    assert problems[0] is None and problems[1:] and all(problems[1:])


def test_what_lies_far_behind_the_end_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    first = tar_bytes({"a.jpg": b"abc"})
    path.write_bytes(first + bytes(4 << 20) + tar_bytes({"b.jpg": b"def"}))
    first_row, last = read(path)
    assert first_row.content == b"abc" and "far behind its end mark" in str(last.problem)


@pytest.mark.parametrize("pack", [zip_bytes, tar_bytes], ids=["zip", "tar"])
def test_members_without_an_ending_are_looked_into(
    tmp_path: Path, pack: Callable[[dict[str, bytes]], bytes]
) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (4, 4)).save(picture, "PNG")
    heic = b"\0\0\0\x18ftypheic" + bytes(100)
    members = {"0001": picture.getvalue(), "README": b"no picture", "0002": heic, "c.jxl": b"x"}
    path = tmp_path / "a.archive"
    path = path.with_suffix(".zip" if pack is zip_bytes else ".tar")
    path.write_bytes(pack(members))
    assert [Path(request.path).name for request in read(path)] == ["0001", "0002", "c.jxl"]


def test_a_pipe_named_like_an_archive_is_not_waited_for(tmp_path: Path) -> None:
    for name in ("a.tar", "a.zip"):
        os.mkfifo(tmp_path / name)
        (only,) = read(tmp_path / name)
        assert only.problem == "not a file"


def test_a_name_that_no_file_can_have() -> None:
    (only,) = [picture.request() for picture in archive_pictures("a\0b.tar")]
    assert only.problem == "no file has such a name"


def test_a_header_that_takes_long_to_read_is_refused(tmp_path: Path) -> None:
    """Of digits alone, which tarfile read in quadratic time before CVE-2024-6232 was mended."""
    pax = tarfile.TarInfo("p")
    pax.size, pax.type = 1_000_000, tarfile.XHDTYPE
    path = tmp_path / "a.tar"
    body = b"1" * 1_000_000 + bytes(-1_000_000 % 512)
    path.write_bytes(pax.tobuf(tarfile.USTAR_FORMAT) + body + tar_bytes({"a.jpg": b"abc"}))
    (only,) = read(path)
    assert only.problem == "broken archive: a header of 1,000,000 bytes"


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.zip"])
@pytest.mark.parametrize("content", [b"", b"garbage" * 1000, b"\x1f\x8b broken"])
def test_what_is_no_archive_is_one_broken_picture(
    tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    (only,) = read(path)
    assert only.path == str(path)
    assert only.problem is not None and only.problem.startswith("broken archive: ")
    assert "\n" not in only.problem


def test_an_archive_that_vanished(tmp_path: Path) -> None:
    (only,) = read(tmp_path / "a.tar")
    assert only.problem == "broken archive: No such file or directory"


MANY = {f"{i}.jpg": bytes([i]) * (200 * i) for i in range(1, 12)}


@settings(max_examples=150, deadline=None)
@given(share=st.floats(0, 1), packed=st.booleans())
def test_a_tar_cut_anywhere(
    tmp_path_factory: pytest.TempPathFactory, share: float, packed: bool
) -> None:
    whole = tar_bytes(MANY)
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        ends = {member.name: member.offset_data + member.size for member in archive}
    end = max(ends.values())
    whole = whole[: end + (-end % 512) + 1024]  # without padding to a record
    data = gzip.compress(whole) if packed else whole
    cut = round(share * (len(data) - 1))
    path = tmp_path_factory.mktemp("cut") / "a.tar"
    path.write_bytes(data[:cut])
    given_ = read(path)
    for request in given_:
        if request.problem is None:  # then it is whole
            assert request.content == MANY[Path(request.path).name]
    assert any(request.problem for request in given_) or (not packed and cut >= len(data) - 512)
    if not packed:
        complete = [name for name, end in ends.items() if end <= cut]
        good = [Path(r.path).name for r in given_ if r.problem is None]
        assert good == complete


@settings(max_examples=150, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["tar", "tar.gz", "zip"]))
def test_flipped_bytes_raise_nothing(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, kind: str
) -> None:
    content = zip_bytes(MANY) if kind == "zip" else tar_bytes(MANY)
    content = gzip.compress(content, 1) if kind == "tar.gz" else content
    broken = bytearray(content)
    for _ in range(data.draw(st.integers(1, 8))):
        broken[data.draw(st.integers(0, len(broken) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("flipped") / f"a.{kind}"
    path.write_bytes(bytes(broken))
    for request in read(path):
        assert (request.content is None) == (request.problem is not None)


def test_a_broken_member_of_a_zip_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a.jpg", "b.jpg", "c.jpg"):
            archive.writestr(name, name.encode() * 100)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"b.jpg" * 100, b"b.jpg" * 99 + b"b.jpX"))
    problems = [request.problem for request in read(path)]
    assert problems[0] is None and problems[2] is None
    assert problems[1] is not None and "CRC" in problems[1]


def test_an_encrypted_member(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    content = bytearray(zip_bytes({"a.jpg": b"secret", "b.jpg": b"open"}))
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + place] |= 1
    path.write_bytes(bytes(content))
    first, second = read(path)
    assert first.problem == "encrypted in the archive"
    assert second.content == b"open"


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_member_beyond_the_limit_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(archive_members, "LARGEST", 1000)
    members = {"a.jpg": b"x" * 1001, "b.jpg": b"y" * 1000}
    path = tmp_path / f"a.{kind}"
    path.write_bytes(zip_bytes(members) if kind == "zip" else tar_bytes(members))
    first, second = read(path)
    assert first.problem == "1,001 bytes, more than the limit of 1,000"
    assert second.content == members["b.jpg"]


@pytest.mark.parametrize("packed", [False, True])
def test_a_member_that_promises_more_than_there_is_ends_at_the_end(
    tmp_path: Path, packed: bool
) -> None:
    """tarfile alone would go on reading nothing until it has skipped that much."""
    header = tarfile.TarInfo("endless.bin")
    header.size = 1 << 62
    data = tar_bytes({"a.jpg": b"first"})[: 2 * 512] + header.tobuf(tarfile.GNU_FORMAT) + b"x" * 99
    path = tmp_path / "a.tar"
    path.write_bytes(gzip.compress(data) if packed else data)
    first, last = read(path)
    assert first.content == b"first"
    assert last == Request(str(path), problem="broken archive: unexpected end of data")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_of_any_size_is_not_read(tmp_path: Path, kind: bytes) -> None:
    header = tarfile.TarInfo("long")
    header.type, header.size = kind, 200 << 20
    path = tmp_path / "a.tar.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(header.tobuf(tarfile.GNU_FORMAT))
        for _ in range(200):
            file.write(bytes(1 << 20))
    (only,), peak = read_with_peak(path)
    assert only.problem == "broken archive: a header of 209,715,200 bytes"
    assert peak < 20 << 20


def test_long_names_are_read(tmp_path: Path) -> None:
    name = "deep/" * 100 + "a.jpg"
    for kind in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        path = tmp_path / "a.tar"
        path.write_bytes(tar_bytes({name: b"x"}, kind))
        assert read(path) == [Request(f"{path}/{name}", content=b"x")]


def test_members_beside_the_archive_are_read_too(tmp_path: Path) -> None:
    """Nothing is unpacked, so it does no harm where they point to."""
    path = tmp_path / "a.tar"
    path.write_bytes(tar_bytes({"../a.jpg": b"x", "/b.jpg": b"y", "./../.c/d.jpg": b"hidden"}))
    assert [request.content for request in read(path)] == [b"x", b"y"]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_bomb_of_another_method(tmp_path: Path, method: int) -> None:
    """A few bytes of these can inflate to gigabytes at once."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a.jpg", bytes(100 << 20))
        archive.writestr("b.jpg", b"stored", zipfile.ZIP_STORED)
    (first, second), peak = read_with_peak(path)
    assert first.problem is not None and first.problem.startswith("compressed in a way that")
    assert second.content == b"stored"
    assert peak < 20 << 20


def test_a_member_larger_than_it_says(tmp_path: Path) -> None:
    """Of a bomb, only as much is inflated as it says that it has."""
    path = tmp_path / "a.zip"
    content = zip_bytes({"a.jpg": bytes(100 << 20)})
    path.write_bytes(content.replace((100 << 20).to_bytes(4, "little"), (99).to_bytes(4, "little")))
    (only,), peak = read_with_peak(path)
    assert only.problem is not None and only.problem.startswith("broken archive: ")
    assert peak < 20 << 20


def test_what_is_not_asked_for_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar_bytes(MANY))
    found = list(archive_pictures(str(path)))[:3]
    assert [picture.path for picture in found] == [f"{path}/{i}.jpg" for i in (1, 2, 3)]


def test_memory_stays_flat(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar_bytes({f"{i:05d}.jpg": b"x" for i in range(6000)}))
    pictures = archive_pictures(str(path))
    for _ in range(500):
        next(pictures)
    tracemalloc.start()
    try:
        for _ in range(5000):
            next(pictures)
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 200_000  # a TarInfo alone takes more than a thousand bytes
