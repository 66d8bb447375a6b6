"""Predictions as annotations, which people correct in the tool that they have.

CVAT reads the XML, Label Studio the JSON as pre-annotations; `vaa prepare` reads back what was
corrected. Both hold decisions, not probabilities: a yes or no for each attribute, and for each
exclusive group the word that is decided.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO
from xml.sax.saxutils import escape, quoteattr

from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.check import check_picture
from vaa_cli.core.images.requests import Request
from vaa_cli.core.labels.words import NONE_OF_GROUP
from vaa_cli.core.prediction.columns import Column, Columns
from vaa_cli.core.prediction.predictor import Prediction

_PERCENT = 100.0
_LABEL = "person"


def _answers(columns: Columns, prediction: Prediction) -> Iterator[tuple[Column, str | bool]]:
    """What is decided for each column, but for what is left out as not sure."""
    for column, value in zip(columns.columns, columns.values(prediction), strict=True):
        if value is not None:
            yield column, value if isinstance(value, str) else bool(value)


def _size_of(request: Request) -> tuple[int, int]:
    """The width and height of a picture, by its header.

    Raises:
        VAAError: it is in an archive, or cannot be read.
    """
    found = check_picture(Path(request.path), decode=False)
    if isinstance(found, str):
        raise VAAError(
            f"{request.path}: {found}; annotations are of picture files, so unpack archives"
        )
    return found


class CVATRows:
    """CVAT's XML for images 1.1: an image with a tag `person`, or a box where there are boxes.

    Args:
        file: the file to write to.
        columns: the columns, with decisions.
    """

    def __init__(self, file: BinaryIO, columns: Columns) -> None:
        self._file, self._columns = file, columns
        self._begun = False
        self._image: str | None = None
        self._count = 0

    def write(self, prediction: Prediction) -> None:
        """Write what a picture or a box in it is decided to have; nothing of a broken one."""
        self._begin()
        if prediction.problem is not None:
            return
        request = prediction.request
        if request.path != self._image:
            self._end_image()
            width, height = _size_of(request)
            self._put(
                f"  <image id={quoteattr(str(self._count))} name={quoteattr(request.path)} "
                f'width="{width}" height="{height}">\n'
            )
            self._image, self._count = request.path, self._count + 1
        kind, sides = "tag", ""
        if request.box is not None:
            left, top, across, down = request.box
            named = {"xtl": left, "ytl": top, "xbr": left + across, "ybr": top + down}
            sides = "".join(f' {name}="{side:.2f}"' for name, side in named.items())
            kind, sides = "box", f'{sides} occluded="0"'
        self._put(f'    <{kind} label="{_LABEL}" source="auto"{sides}>\n')
        for column, answer in _answers(self._columns, prediction):
            text = answer if isinstance(answer, str) else str(answer).lower()
            name = quoteattr(column.name)
            self._put(f"      <attribute name={name}>{escape(text)}</attribute>\n")
        self._put(f"    </{kind}>\n")

    def flush(self) -> None:
        """Let what is written reach the file."""
        self._file.flush()

    def finish(self) -> None:
        """Write the end."""
        self._begin()
        self._end_image()
        self._put("</annotations>\n")

    def _begin(self) -> None:
        if self._begun:
            return
        self._begun = True
        self._put(
            '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
        )
        self._put(f"  <meta><task><labels><label><name>{_LABEL}</name><attributes>\n")
        for column in self._columns.columns:
            kind, values = "checkbox", ["false"]
            if column.words is not None:
                kind, values = "select", [*column.words, NONE_OF_GROUP]
            self._put(
                f"    <attribute><name>{escape(column.name)}</name><mutable>False</mutable>"
                f"<input_type>{kind}</input_type><values>{escape(chr(10).join(values))}</values>"
                "</attribute>\n"
            )
        self._put("  </attributes></label></labels></task></meta>\n")

    def _end_image(self) -> None:
        if self._image is not None:
            self._put("  </image>\n")
        self._image = None

    def _put(self, text: str) -> None:
        self._file.write(text.encode("utf-8", errors="surrogateescape"))


class LabelStudioRows:
    """Label Studio's tasks with pre-annotations: choices of the picture, or of its boxes.

    Args:
        file: the file to write to.
        columns: the columns, with decisions.
        model: name of the model, which Label Studio shows.
    """

    def __init__(self, file: BinaryIO, columns: Columns, model: str = "vaa") -> None:
        self._file, self._columns, self._model = file, columns, model
        self._image: str | None = None
        self._results: list[dict[str, Any]] = []
        self._begun = False
        self._regions = 0

    def write(self, prediction: Prediction) -> None:
        """Take a picture or a box in it; nothing of a broken one."""
        if prediction.problem is not None:
            return
        request = prediction.request
        if request.path != self._image:
            self._end_task()
            self._image = request.path
        self._regions += 1
        place: dict[str, Any] = {}
        of_region: dict[str, Any] = {}
        if request.box is not None:
            width, height = _size_of(request)
            left, top, across, down = request.box
            place = {
                "x": left / width * _PERCENT, "y": top / height * _PERCENT,
                "width": across / width * _PERCENT, "height": down / height * _PERCENT,
                "rotation": 0,
            }  # fmt: skip
            of_region = {
                "id": f"r{self._regions}", "original_width": width, "original_height": height,
                "image_rotation": 0,
            }  # fmt: skip
            value = {**place, "rectanglelabels": [_LABEL]}
            self._add(of_region, "label", "rectanglelabels", value)
        for number, (column, answer) in enumerate(_answers(self._columns, prediction)):
            word = answer if isinstance(answer, str) else "yes" if answer else "no"
            own = of_region or {"id": f"c{self._regions}-{number}"}
            self._add(own, column.name, "choices", {**place, "choices": [word]})

    def flush(self) -> None:
        """Let what is written reach the file."""
        self._file.flush()

    def finish(self) -> None:
        """Write the last picture and the end."""
        self._end_task()
        self._file.write(b"\n]\n" if self._begun else b"[]\n")

    def _add(self, own: dict[str, Any], name: str, kind: str, value: dict[str, Any]) -> None:
        self._results.append(
            {**own, "from_name": name, "to_name": "image", "type": kind, "value": value}
        )

    def _end_task(self) -> None:
        if self._image is None:
            return
        prediction = {"model_version": self._model, "result": self._results}
        task = {"data": {"image": self._image}, "predictions": [prediction]}
        try:
            text = json.dumps(task, ensure_ascii=False).encode()
        except UnicodeEncodeError:  # a name that is no UTF-8
            text = json.dumps(task).encode()
        self._file.write((b",\n" if self._begun else b"[") + text)
        self._begun, self._image, self._results = True, None, []


def labelling_configuration(columns: Columns, has_boxes: bool) -> str:
    """The configuration of a Label Studio project for the pre-annotations.

    Args:
        columns: the columns.
        has_boxes: whether the rows are boxes.
    """
    lines = ["<View>", '  <Image name="image" value="$image"/>']
    if has_boxes:
        lines += [
            '  <RectangleLabels name="label" toName="image">',
            f'    <Label value="{_LABEL}"/>',
            "  </RectangleLabels>",
        ]
    each = ' perRegion="true"' if has_boxes else ""
    for column in columns.columns:
        words = ["yes", "no"] if column.words is None else [*column.words, NONE_OF_GROUP]
        choices = "".join(f"<Choice value={quoteattr(word)}/>" for word in words)
        name = quoteattr(column.name)
        lines += [
            f"  <Header value={name}/>",
            f'  <Choices name={name} toName="image" choice="single-radio" showInline="true"{each}>'
            f"{choices}</Choices>",
        ]
    return "\n".join([*lines, "</View>", ""])
