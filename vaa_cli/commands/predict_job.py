"""The work of `vaa predict`: which pictures, which columns, which file."""

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from vaa_cli.commands.console import names_on_stdin, require_stdout, say, say_passed_over
from vaa_cli.commands.predict_output import OutputOptions, Predict, write_predictions
from vaa_cli.core.errors import VAAError
from vaa_cli.core.system.distributed import ProcessGroup

if TYPE_CHECKING:
    from vaa_cli.core.images.inputs import Inputs
    from vaa_cli.core.images.requests import ImageSource
    from vaa_cli.core.prediction.columns import Columns
    from vaa_cli.core.prediction.conditions import Condition
    from vaa_cli.core.prediction.predictor import Predictor


@dataclass(frozen=True)
class RowOptions:
    """The options of the rows, as `vaa predict` has them.

    Attributes:
        out: the file, or with a slash behind it the folder of parts; None for stdout.
        format: its format; None to choose by its name.
        resume: go on with an interrupted job.
        top: number of attributes in a line for people; None for rows of the format.
        decisions: decisions in place of probabilities.
        groups: one column for each exclusive group.
        min_confidence: what is less sure is left out.
        tta: whether mirror images are averaged in.
        shard: part of a job, as `1/4`.
        attributes: names of the attributes with commas between them; None for all.
        where: conditions on the pictures.
        safe_csv: keep spreadsheets from running names.
        uncertain: number of pictures that are least sure; None for all in their order.
        part_rows: rows of a part, where parts are written.
        on: the Ray cluster to predict on; None for this process.
    """

    out: str | None
    format: str | None
    resume: bool
    top: int | None
    decisions: bool
    groups: bool
    min_confidence: float
    tta: bool
    shard: str | None
    attributes: str | None
    where: tuple[str, ...]
    safe_csv: bool
    uncertain: int | None
    part_rows: int
    on: str | None

    @property
    def place(self) -> Path | str | None:
        """The path or URL of the file or folder; None for stdout."""
        from vaa_cli.core.system.storage import is_url

        return self.out if self.out is None or is_url(self.out) else Path(self.out)

    @property
    def parts(self) -> bool:
        """Whether rows are written as parts into a folder."""
        return self.out is not None and self.out.endswith(("/", os.sep))


def predict_rows(predictor: "Predictor", images: list[str], options: RowOptions) -> int:
    """Predict pictures and write the rows; the exit code."""
    from vaa_cli.core.images.inputs import find_inputs
    from vaa_cli.core.prediction.columns import Columns
    from vaa_cli.core.prediction.formats import ANNOTATIONS

    group, card = predictor.group, predictor.card
    chosen, part = _format(options), _shard(options.shard)
    is_annotation = chosen in ANNOTATIONS
    positions, conditions = _chosen(options, predictor)
    out = options.place
    if not options.parts:
        out = _checked_output(out, chosen, [*images, predictor.path], group)
    inputs = find_inputs(images, names_on_stdin(images)) if group.world_size == 1 else None
    with group.connected(), _predicting(predictor, options.on) as predict:
        inputs = inputs or find_inputs(images, _names_in_group(images, group))
        columns = Columns.of(
            card, inputs.has_boxes, options.decisions or is_annotation, options.min_confidence,
            positions, options.safe_csv, options.groups or (is_annotation and bool(card.groups)),
        )  # fmt: skip
        settings = _settings(predictor, inputs.has_boxes, chosen, options)
        sources, count = _part_of(inputs, part)
        output = OutputOptions(
            out, chosen, columns, settings, options.resume, options.top, conditions, count,
            options.uncertain, options.part_rows if options.parts else None,
        )  # fmt: skip
        code = write_predictions(predictor, sources, output, predict)
        say_passed_over(inputs.passed_over)
    if chosen == "labelstudio" and isinstance(out, Path) and group.is_main:
        _write_configuration(out, columns)
    return code


@contextmanager
def _predicting(predictor: "Predictor", on: str | None) -> Iterator["Predict"]:
    """What predicts the pictures: the processes of this group, or a cluster."""
    from vaa_cli.core.prediction.multi_process import predict_in_group

    if on is None:
        yield partial(predict_in_group, predictor)
        return
    if on != "ray" and not on.startswith("ray://") and ":" not in on:
        raise VAAError(f"--on {on} is no cluster; write ray, or an address as ray://head:10001")
    if predictor.group.world_size > 1:
        raise VAAError("--on ray has processes of its own; leave out torchrun")
    from vaa_cli.core.prediction.ray_cluster import ray_cluster
    from vaa_cli.core.prediction.ray_predictions import predict_on_ray

    with ray_cluster(on) as ray:
        yield lambda sources, *_: predict_on_ray(ray, predictor, sources)


def _write_configuration(out: Path, columns: "Columns") -> None:
    """Write the configuration of a labelling project beside its tasks."""
    from vaa_cli.core.prediction.annotation_rows import labelling_configuration
    from vaa_cli.core.system.files import write_text
    from vaa_cli.core.system.output_files import require_output

    path = out.with_name(f"{out.stem}.config.xml")
    path = require_output(path, "a labelling configuration", lambda start: start[:6] == b"<View>")
    write_text(path, labelling_configuration(columns, columns.boxes))
    say(f"wrote {path}, the labelling interface of such a project")


def _chosen(
    options: RowOptions, predictor: "Predictor"
) -> tuple[list[int] | None, list["Condition"]]:
    """The positions of the attributes to write, None for all; and conditions on the pictures."""
    from vaa_cli.core.labels.attributes import positions_of
    from vaa_cli.core.prediction.conditions import parse_condition

    if options.groups and not predictor.card.groups:
        raise VAAError(f"--groups: {predictor.path} has no exclusive groups; leave it out")
    names = predictor.attributes
    positions = None if options.attributes is None else positions_of(options.attributes, names)
    return positions, [parse_condition(text, names) for text in options.where]


def _settings(
    predictor: "Predictor", boxes: bool, format: str, options: RowOptions
) -> dict[str, Any]:
    """What the rows depend on, by the names that messages have for it."""
    from importlib.metadata import version

    return {
        "vaa": version("vaa-cli"),
        "engine": predictor.engine.name if options.on is None else _engine_on_cluster(predictor),
        "processes": predictor.group.world_size,
        "boxes": boxes,
        "--format": format,
        "--batch-size": predictor.options.batch_size,
        "--decisions": options.decisions,
        "--groups": options.groups,
        "--tta": options.tta,
        "--min-confidence": options.min_confidence,
        "--shard": options.shard,
        "--attributes": options.attributes,
        "--safe-csv": options.safe_csv,
    }


def _engine_on_cluster(predictor: "Predictor") -> str:
    """What is asked of the engine, where it is not opened in this process."""
    asked = predictor.options
    return f"on Ray, {asked.engine} on {asked.device}, {asked.precision}"


def _format(options: RowOptions) -> str:
    """The format of the rows; refuses options that contradict each other."""
    from vaa_cli.core.prediction.formats import ANNOTATIONS, format_for
    from vaa_cli.core.system.storage import parent_url

    out = options.place
    chosen = format_for(None if options.parts else out, options.format)
    if options.parts:
        if options.format not in (None, "parquet"):
            raise VAAError(
                f"--out {options.out} is a folder, for Parquet parts; leave out --format"
            )
        if options.uncertain is not None:
            raise VAAError("--uncertain writes few rows; name a file with --out")
        chosen = "parquet"
    if options.resume and out is None:
        raise VAAError("--resume goes on with a file; name it with --out")
    if isinstance(out, str) and not options.parts and (options.resume or chosen in ANNOTATIONS):
        asked = "--resume" if options.resume else f"--format {chosen}"
        raise VAAError(
            f"{asked} needs a file on this machine, or a folder of parts: {parent_url(out)}rows/"
        )
    for name, is_asked in (("--where", options.where), ("--uncertain", options.uncertain)):
        if options.resume and is_asked:
            raise VAAError(
                f"--resume counts the rows, of which {name} leaves out some; leave out one"
            )
    if options.top is not None and (out is not None or options.format is not None):
        raise VAAError("--pretty is for people; leave out --out and --format, or leave it out")
    return chosen


def _checked_output(
    out: Path | str | None, format: str, inputs: list[str | Path], group: ProcessGroup
) -> Path | str | None:
    """The file that the first process writes, None for stdout, which must be open.

    What is read is not replaced, nor is a file that has no predictions.
    """
    from vaa_cli.core.prediction.formats import has_format
    from vaa_cli.core.system.output_files import require_output, require_output_url

    if out is None or not group.is_main:
        require_stdout("name a file with --out")
        return out
    if isinstance(out, str):
        return require_output_url(out, f"{format} predictions of vaa", partial(has_format, format))
    stdin = [0] if "-" in inputs else []
    return require_output(
        out, f"{format} predictions of vaa", partial(has_format, format), [*inputs, *stdin]
    )


def _part_of(inputs: "Inputs", part: range) -> tuple[Iterator["ImageSource"], int | None]:
    """The pictures of a part of a job, and their number where it is known."""
    count = None if inputs.count is None else len(range(part.start, inputs.count, part.step))
    return islice(inputs.sources, part.start, None, part.step), count


def _shard(shard: str | None) -> range:
    """The first picture of a part, and the step to its next ones."""
    if shard is None:
        return range(0, 1, 1)
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", shard)
    part, parts = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= part <= parts:
        raise VAAError(f"--shard {shard} is no part of a job; write 1/4, 2/4, 3/4 or 4/4, say")
    return range(part - 1, parts, parts)


def _names_in_group(images: list[str], group: ProcessGroup) -> TextIO:
    """The names on stdin in every process; the first one reads them to their end."""
    from vaa_cli.core.images.inputs import STDIN

    if STDIN not in images:
        return io.StringIO()
    return io.StringIO(group.broadcast_text(names_on_stdin(images).read() if group.is_main else ""))
