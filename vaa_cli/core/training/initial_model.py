"""The model that a training starts with."""

from pathlib import Path

from vaa_cli.core.models.card import ModelCard, is_model
from vaa_cli.core.models.model_file import new_model
from vaa_cli.core.models.names import NAMED_WEIGHTS
from vaa_cli.core.models.transfer import transfer
from vaa_cli.core.models.vaa import VAA
from vaa_cli.core.models.weights import load_weights
from vaa_cli.core.runs.lookup import STARTER_NAME, model_file


def initial_model(card: ModelCard, weights: str) -> VAA:
    """Make a model with the weights that its training starts from, and heads at the priors.

    Args:
        card: the card of the model.
        weights: a run folder or a model file of vaa, see `transfer`; or see `load_weights`.

    Raises:
        VAAError: the weights cannot be read, or are of another backbone.
    """
    trained = trained_model(weights)
    if trained is None:
        model = new_model(card, load_weights(weights, card.backbone))
        model.start_at(card.priors)
        return model
    model = new_model(card)
    model.start_at(card.priors)
    transfer(model, card, trained)
    return model


def trained_model(weights: str) -> Path | None:
    """The model file that initial weights name, as a run folder or by itself; None for others.

    Raises:
        VAAError: it is a folder without a model.
    """
    path = Path(weights)
    if weights in NAMED_WEIGHTS:
        return None
    if path.is_dir() or weights == STARTER_NAME:
        return model_file(path)
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return path if is_model(file.read(64)) else None
