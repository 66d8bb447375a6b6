"""Pictures and predictions as blocks of Ray Data, each one row with all values in lists."""

import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from vaa_cli.core.images.requests import ImageSource, Request
from vaa_cli.core.images.url_inputs import named_picture
from vaa_cli.core.labels.boxes import Box
from vaa_cli.core.prediction.predictor import Prediction
from vaa_cli.core.system.named_content import NamedContent
from vaa_cli.core.system.storage import is_url

# The columns of a block on its way to an actor.
COLUMNS = ("path", "box", "content", "problem")


def one_row(**columns: tuple[Sequence[Any], Any]) -> Any:
    """A block of one row that has all values of a column in a list.

    Ray Data joins blocks and cuts them as it likes, but never within a row.
    """
    import pyarrow as pa

    return pa.table(
        {name: pa.array([values], pa.list_(kind)) for name, (values, kind) in columns.items()}
    )


def source_of(
    name: bytes, sides: list[float] | None, content: bytes | None, problem: str | None
) -> ImageSource:
    """A picture of a block."""
    path, box = os.fsdecode(name), None if sides is None else Box(*sides)
    if problem is not None:
        return ImageSource(path, box, problem=problem)
    if content is not None:
        return ImageSource(path, box, partial(bytes, content))
    return named_picture(path, box)


def unread(source: ImageSource) -> Request:
    """What is asked of an actor, which reads files and URLs by their names; others are read here.

    These are pictures in archives, which are open here, and in shards, whose names say too little.
    """
    if source.is_remote and not isinstance(source.path, NamedContent):
        return Request(source.path, source.box, problem=source.problem)
    return source.request()


def block_of(requests: list[Request]) -> Any:
    """Pictures as a block of Ray."""
    import pyarrow as pa

    boxes = [None if one.box is None else list(one.box) for one in requests]
    return one_row(
        path=([os.fsencode(_found_anywhere(one)) for one in requests], pa.binary()),
        box=(boxes, pa.list_(pa.float64())),
        content=([one.content for one in requests], pa.large_binary()),
        problem=([one.problem for one in requests], pa.string()),
    )


def _found_anywhere(request: Request) -> str:
    """The path of a picture as processes with another working folder find it."""
    is_file = request.content is None and not is_url(request.path)
    return os.path.abspath(request.path) if is_file else request.path


def predictions_of(table: Any, pictures: Sequence[tuple[str, Box | None]]) -> Iterator[Prediction]:
    """The predictions of a block."""
    (columns,) = table.to_pylist()
    for (path, box), found, problem, more_frames in zip(
        pictures, columns["probabilities"], columns["problem"], columns["more_frames"], strict=True
    ):
        row = None if found is None else np.frombuffer(found, dtype=np.float32)
        yield Prediction(Request(path, box), row, problem, more_frames)
