"""Writes a model in the formats of other engines, with its card inside."""

import contextlib
import errno
import io
import logging
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vaa_cli.core.engines.graph import INPUT, OUTPUT, exported_graph
from vaa_cli.core.engines.openvino_runtime import openvino_converter, openvino_runtime
from vaa_cli.core.errors import VAAError, one_line
from vaa_cli.core.models.card import METADATA, ModelCard
from vaa_cli.core.models.vaa import VAA


def write_openvino(path: Path, model: VAA, card: ModelCard) -> None:
    """Write an OpenVINO model: an .xml file and its weights in a .bin file beside it."""
    ov, convert_model = openvino_runtime(), openvino_converter()
    with _converting("OpenVINO"):
        converted = convert_model(exported_graph(model, card))
        converted.inputs[0].get_tensor().set_names({INPUT})
        converted.outputs[0].get_tensor().set_names({OUTPUT})
        # The conversion loses height and width.
        converted.reshape([-1, 3, *card.image_size])
        converted.set_rt_info(card.to_json(), [METADATA])
        with _saving(path):
            ov.save_model(converted, path, compress_to_fp16=False)


def write_onnx(path: Path, model: VAA, card: ModelCard) -> None:
    """Write an ONNX model."""
    import onnx

    with _converting("ONNX"):
        program = torch.onnx.export(
            exported_graph(model, card),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            verbose=False,
        )
        assert program is not None
        proto = program.model_proto
        onnx.helper.set_model_props(proto, {METADATA: card.to_json()})
        onnx.save(proto, path)


def write_torch(path: Path, model: VAA, card: ModelCard) -> None:
    """Write a `torch.export` program."""
    with _converting("torch.export"):
        graph, extra_files = exported_graph(model, card), {f"{METADATA}.json": card.to_json()}
        with _saving(path):
            torch.export.save(graph, path, extra_files=extra_files)


@contextmanager
def _converting(kind: str) -> Iterator[None]:
    """Silence the converters' own messages, and turn their errors into one line.

    Raises:
        VAAError: the block failed.
    """
    quiet = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript")]
    levels = [logger.level for logger in quiet]
    for logger in quiet:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except OSError:
        raise
    except Exception as error:  # each converter has its own kinds
        raise VAAError(f"the model cannot be converted to {kind}: {one_line(error)}") from error
    finally:
        for logger, level in zip(quiet, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _saving(path: Path) -> Iterator[None]:
    """Turn the errors of writers in C++ into those of files.

    Raises:
        OSError: the block failed.
    """
    try:
        yield
    except RuntimeError as error:
        free = shutil.disk_usage(path.parent).free
        raise OSError(
            errno.EIO, f"it could not be written; {free / 1e6:,.0f} MB are free there"
        ) from error


def quantise(path: Path, pictures: NDArray[np.uint8]) -> Path:
    """Quantise an OpenVINO model to int8 by NNCF's post-training quantisation.

    Args:
        path: the .xml file; the quantised model replaces it.
        pictures: images `[n x 3 x h x w]` to calibrate with, like those that it will compute.

    Returns:
        The path.
    """
    ov = openvino_runtime()
    with _converting("int8"):
        with contextlib.redirect_stdout(io.StringIO()):  # NNCF prints progress bars there
            import nncf

            logging.getLogger("nncf").setLevel(logging.ERROR)
            model = ov.Core().read_model(path)
            card = model.get_rt_info([METADATA]).value
            quantised = nncf.quantize(
                model,
                nncf.Dataset(list(pictures[:, None])),
                subset_size=len(pictures),
                preset=nncf.QuantizationPreset.MIXED,
            )
        quantised.set_rt_info(card, [METADATA])
        beside = path.with_name(f"int8-{path.name}")
        with _saving(beside):
            ov.save_model(quantised, beside, compress_to_fp16=False)
        del model
        for suffix in (".bin", ".xml"):
            beside.with_suffix(suffix).replace(path.with_suffix(suffix))
    return path
