"""The model that a training starts with."""

from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.models.model_file import new_model
from vaa_cli.core.models.transfer import transfer
from vaa_cli.core.models.vaa import VAA
from vaa_cli.core.models.weights import load_weights
from vaa_cli.core.training.trained_weights import trained_model


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
