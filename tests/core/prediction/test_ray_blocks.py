"""What goes to an actor of Ray: names that it can read, or what it could not."""

from pathlib import Path

from vaa_cli.core.images.requests import picture_source
from vaa_cli.core.images.url_inputs import named_picture
from vaa_cli.core.prediction.ray_blocks import unread
from vaa_cli.core.system.file_cache import FileCache
from vaa_cli.core.system.shards import ShardMember


def test_a_picture_in_a_shard_at_a_url_goes_as_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"before" + b"picture" + b"behind")
    cache = FileCache(tmp_path / "cache", 1000)
    member = ShardMember(f"file://{tmp_path}/a.tar", "a.jpg", 6, 7, cache)
    assert unread(picture_source(member)).content == b"picture"


def test_urls_and_files_go_by_their_names(tmp_path: Path) -> None:
    for name in (f"file://{tmp_path}/none.jpg", str(tmp_path / "none.jpg")):
        request = unread(named_picture(name))
        assert (request.path, request.content, request.problem) == (name, None, None)
