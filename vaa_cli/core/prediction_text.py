"""Predictions as a line of text for people."""

import numpy as np
from rich.text import Text

from vaa_cli.core.errors import printable
from vaa_cli.core.prediction import Prediction
from vaa_cli.core.prediction_formats import Columns


def prediction_line(prediction: Prediction, columns: Columns, top: int) -> Text:
    """What is likeliest in a picture: `photo.jpg  hat 98%  bag 74%  (long hair 12%)`.

    Args:
        prediction: of one picture.
        columns: what is told; attributes below their thresholds stand in parentheses.
        top: how many attributes.
    """
    request = prediction.request
    line = Text(printable(request.path), style="bold")
    line.append(f" {request.box}" if request.box else "", style="dim")
    if prediction.probabilities is None:
        return line.append(f"  {printable(prediction.problem or '')}", style="red")
    values = columns.values(prediction)
    for place in np.argsort(-prediction.probabilities, kind="stable")[:top].tolist():
        if values[place] is None:  # not sure enough
            continue
        probability = prediction.probabilities[place]
        told = f"{printable(columns.attributes[place])} {100 * probability:.0f}%"
        is_present = probability >= columns.thresholds[place]
        line.append("  ", style="not bold")
        line.append(told if is_present else f"({told})", style="green" if is_present else "dim")
    return line
