"""Files at URLs: read whole or refused in one line, from servers that fail and recover."""

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.s3_server import ENVIRONMENT, s3_server
from vaa_cli.core.errors import VAAError
from vaa_cli.core.system.byte_sizes import parse_size
from vaa_cli.core.system.cached_files import cached_file
from vaa_cli.core.system.file_cache import FileCache
from vaa_cli.core.system.storage import (
    StorageError,
    content_tag,
    is_folder_url,
    is_url,
    read_url,
    shown_url,
)
from vaa_cli.core.system.storage_file import open_url
from vaa_cli.core.system.storage_listing import list_url, match_url

fsspec = pytest.importorskip("fsspec")


def connect(address: str, patch: pytest.MonkeyPatch) -> None:
    """Make the server at an address that of s3:// URLs."""
    s3fs = pytest.importorskip("s3fs")
    for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": address}.items():
        patch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    pytest.importorskip("moto.server")
    with s3_server() as address:
        yield address


@pytest.fixture
def s3(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A new bucket, as a URL."""
    connect(address, monkeypatch)
    url = f"s3://bucket-{random.randrange(1 << 40)}"
    fsspec.filesystem("s3").mkdir(url)
    yield url


@pytest.fixture
def memory() -> Iterator[str]:
    """A folder of the memory file system, as a URL."""
    fs = fsspec.filesystem("memory")
    fs.mkdirs("/people", exist_ok=True)
    yield "memory://people"
    fs.rm("/people", recursive=True)


def put(url: str, content: bytes) -> None:
    with fsspec.open(url, "wb") as file:
        file.write(content)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("s3://bucket/a.jpg", True),
        ("https://host/a.jpg", True),
        ("zip://a.jpg::s3://bucket/b.zip", True),
        ("simplecache::s3://bucket/a.jpg", True),
        ("a.jpg", False),
        ("/data/a.jpg", False),
        ("C:\\data\\a.jpg", False),
        ("C://data/a.jpg", False),
        ("odd::name.jpg", False),
        ("-", False),
    ],
)
def test_urls_are_known_by_their_form(name: str, expected: bool) -> None:
    assert is_url(name) == expected


def test_no_message_holds_what_may_be_secret() -> None:
    assert shown_url("https://me:secret@host/a.jpg?X-Amz-Signature=abc") == "https://host/a.jpg"
    assert shown_url("s3://bucket/what?.jpg") == "s3://bucket/what?.jpg"
    of_azure = "abfs://container@account.dfs.core.windows.net/a.jpg"
    assert shown_url(of_azure) == of_azure
    with pytest.raises(StorageError, match="credentials in a URL are not used") as refused:
        read_url("https://me:secret@host/a.jpg")
    assert "secret" not in str(refused.value)


def test_a_file_is_read_whole(s3: str) -> None:
    content = random.Random(0).randbytes(100_000)
    put(f"{s3}/a/b.bin", content)
    put(f"{s3}/empty.bin", b"")
    assert read_url(f"{s3}/a/b.bin") == read_url(f"{s3}/a/b.bin", len(content)) == content
    assert read_url(f"{s3}/empty.bin") == read_url(f"{s3}/empty.bin", 0) == b""


def test_a_file_that_is_too_large_is_not_read(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put(f"{s3}/a.bin", bytes(1000))
    monkeypatch.setattr("vaa_cli.core.system.storage.LARGEST", 999)
    with pytest.raises(StorageError, match="more bytes than the limit of 999"):
        read_url(f"{s3}/a.bin")
    with pytest.raises(StorageError, match="1,000 bytes, more than the limit of 999"):
        read_url(f"{s3}/a.bin", 1000)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("s3://no-such-bucket-here/a.jpg", "no such bucket"),
        ("{s3}/a.jpg", "nothing is there"),
        ("odd://host/a.jpg", "odd:// is no storage that is known here"),
        ("memory://nowhere/a.jpg", "nothing is there"),
    ],
)
def test_what_is_not_there_is_one_line(s3: str, url: str, problem: str) -> None:
    with pytest.raises(StorageError) as refused:
        read_url(url.format(s3=s3))
    assert refused.value.problem == problem
    with pytest.raises(StorageError, match=problem):
        is_folder_url(url.format(s3=s3))


def test_without_credentials_it_says_which(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    pytest.importorskip("s3fs").S3FileSystem.clear_instance_cache()
    with pytest.raises(StorageError, match="no credentials; set AWS_PROFILE, or AWS_ACCESS_KEY_ID"):
        read_url(f"{s3}/a.jpg")


def test_a_server_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vaa_cli.core.system.storage._DELAY", 0.001)
    with pytest.raises(StorageError, match=r"^http://127\.0\.0\.1:9/a\.jpg: the storage failed"):
        read_url("http://127.0.0.1:9/a.jpg?signature=secret")


def test_reads_outlast_a_server_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("moto.server")
    contents = {
        f"a/{number:02d}.bin": random.Random(number).randbytes(5000) for number in range(40)
    }
    with s3_server(busy=0.2, cut=0.05) as address:
        connect(address, monkeypatch)
        fs = fsspec.filesystem("s3")
        for _ in range(10):
            fs.mkdirs("bucket", exist_ok=True)
        for name, content in contents.items():
            put(f"s3://bucket/{name}", content)
        listed = list(list_url("s3://bucket/a"))
        assert [file.url for file in listed] == [f"s3://bucket/{name}" for name in contents]
        assert {file.url[12:]: read_url(file.url, file.size) for file in listed} == contents
        with open_url("s3://bucket/a/07.bin") as file:
            assert file.read() == contents["a/07.bin"]


@pytest.mark.parametrize("storage", ["s3", "memory"])
def test_a_listing_has_each_file_once(storage: str, request: pytest.FixtureRequest) -> None:
    root = request.getfixturevalue(storage)
    names = ["b.jpg", "a.jpg", "sub/c.jpg", "sub/deep/d.txt", ".hidden/e.jpg", "sub/.f.jpg"]
    for name in names:
        put(f"{root}/people/{name}", b"x")
    put(f"{root}/people2/other.jpg", b"x")
    for spelt in (f"{root}/people", f"{root}/people/"):
        found = list(list_url(spelt))
        assert [file.url.removeprefix(f"{root}/people/") for file in found] == [
            "a.jpg", "b.jpg", "sub/c.jpg", "sub/deep/d.txt",
        ]  # fmt: skip
        assert {file.size for file in found} == {1}
    assert [file.url for file in match_url(f"{root}/people/*.jpg")] == [
        f"{root}/people/a.jpg", f"{root}/people/b.jpg",
    ]  # fmt: skip
    with pytest.raises(StorageError, match="nothing is there"):
        list(list_url(f"{root}/nowhere/"))


def test_a_long_listing_comes_in_pages(s3: str) -> None:
    fs = fsspec.filesystem("s3")
    fs.pipe({f"{s3}/many/{number:04d}.jpg": b"" for number in range(1005)})
    found = list(list_url(f"{s3}/many/"))
    assert [file.url for file in found] == [f"{s3}/many/{n:04d}.jpg" for n in range(1005)]


def test_parts_of_a_file_are_read(s3: str) -> None:
    content = random.Random(0).randbytes(10_500)
    put(f"{s3}/a.bin", content)
    with open_url(f"{s3}/a.bin", block=1000) as file:
        assert file.read(10) == content[:10]
        file.seek(-100, 2)
        assert file.read() == content[-100:]
        file.seek(5000)
        assert file.read(3000) == content[5000:8000]
        file.seek(20_000)
        assert file.read() == b""


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("200GB", 200 * 10**9),
        ("1.5 TB", 15 * 10**11),
        ("512MiB", 512 << 20),
        ("7", 7),
        ("2k", 2000),
    ],
)
def test_sizes(text: str, count: int) -> None:
    assert parse_size(text) == count


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "1 apple", "1e9"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(VAAError, match="is no size; write 200GB, say"):
        parse_size(text)


def test_a_cache_keeps_what_was_used_last(memory: str, tmp_path: Path) -> None:
    cache = FileCache(tmp_path / "cache", 1000)
    for number in range(12):
        put(f"{memory}/{number}.bin", bytes([number]) * 100)
        assert cache.read(f"{memory}/{number}.bin") == bytes([number]) * 100
    held = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in held) <= 1000
    fsspec.filesystem("memory").rm("/people/11.bin")
    assert cache.read(f"{memory}/11.bin") == bytes([11]) * 100
    fsspec.filesystem("memory").rm("/people/0.bin")
    with pytest.raises(StorageError):
        cache.read(f"{memory}/0.bin")  # the oldest went first


def test_a_file_larger_than_the_cache_is_read_all_the_same(memory: str, tmp_path: Path) -> None:
    put(f"{memory}/a.bin", bytes(2000))
    assert FileCache(tmp_path, 1000).read(f"{memory}/a.bin") == bytes(2000)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_cache_that_cannot_be_written_is_none(memory: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    put(f"{memory}/a.bin", b"x")
    assert FileCache(tmp_path / "file" / "cache", 1000).read(f"{memory}/a.bin") == b"x"


def test_a_file_is_read_again_when_it_changes(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAA_CACHE", str(tmp_path))
    url = f"{s3}/run/best.safetensors"
    put(url, b"one")
    first, tag = cached_file(url), content_tag(url)
    assert first.read_bytes() == b"one" and first.name == "best.safetensors"
    assert cached_file(url) == first
    put(url, b"two")
    assert content_tag(url) != tag
    assert cached_file(url).read_bytes() == b"two"
    assert first.exists(), "who asked for it a moment ago may not have opened it yet"


def test_versions_of_a_file_that_are_old_go(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAA_CACHE", str(tmp_path))
    paths = []
    for number, content in enumerate((b"one", b"two", b"three")):
        put(f"{s3}/run/table.csv", content)
        paths.append(cached_file(f"{s3}/run/table.csv"))
        if number == 0:
            os.utime(paths[0].parent, (time.time() - 2 * 24 * 3600,) * 2)
    assert [path.exists() for path in paths] == [False, True, True]
    os.utime(paths[1].parent, (time.time() - 2 * 24 * 3600,) * 2)
    put(f"{s3}/run/table.csv", b"two")
    assert cached_file(f"{s3}/run/table.csv") == paths[1], "the same content is the same version"
    put(f"{s3}/run/table.csv", b"four")
    assert cached_file(f"{s3}/run/table.csv").read_bytes() == b"four"
    assert paths[1].exists(), "it was used a moment ago"
