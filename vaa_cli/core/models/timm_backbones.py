"""timm's networks that give the features of four stages, as backbones."""

import logging
from typing import Any

import timm
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn

from vaa_cli.core.errors import VAAError, one_line
from vaa_cli.core.models.sync_batch_norm import same_norm

Channels = tuple[float, float, float]

_STAGES = 4
_NORMS = (nn.LayerNorm, nn.modules.batchnorm._BatchNorm, nn.GroupNorm)
# Of the weights of a file, so many may be missing: timm makes some anew for another image size.
_FEW = 0.2


class TimmBackbone(nn.Module):
    """A network of timm as four stages, without its pooling and classifier.

    Args:
        name: a name of timm's, with or without the tag of its weights.
        state: weights under timm's names, or None for a random start.
        output_stride: pixels of the image a cell of stage 4 stands for, 32 or 16, which most
            convolutional networks can have.
        image_size: height and width of the images, which some networks are made for.

    Raises:
        VAAError: the network has other stages, cannot be made for these images, or the weights
            are not its own.
    """

    def __init__(
        self,
        name: str,
        state: dict[str, Tensor] | None = None,
        output_stride: int = 32,
        image_size: tuple[int, int] = (224, 224),
    ) -> None:
        super().__init__()
        network = _create(name, state, output_stride, image_size)
        strides = network.feature_info.reduction()
        if strides != [4, 8, 16, output_stride]:
            raise VAAError(
                f"{name} gives features of {_listed(strides)} pixels a cell; a backbone needs "
                f"four stages, of 4, 8, 16 and {output_stride}, such as convnext_tiny"
            )
        self.is_channels_last = str(getattr(network, "output_fmt", None)).endswith("NHWC")
        norms = [module for module in network.modules() if isinstance(module, _NORMS)]
        # Networks with layer normalisation normalise inside their blocks: what the blocks add up
        # is not, and their authors put one more behind each stage that is used.
        self.is_normalised = not norms or not all(isinstance(m, nn.LayerNorm) for m in norms)
        self.network = _with_plain_norms(network)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images `[n x 3 x h x w]` to the four stages' features, each `[n x f x h_i x w_i]`."""
        features = self.network(images)
        if self.is_channels_last:
            return [stage.permute(0, 3, 1, 2) for stage in features]
        return list(features)


def normalisation(name: str) -> tuple[Channels, Channels]:
    """Mean and standard deviation of each channel of the images that timm's weights expect."""
    config = _config(name)
    mean, std = (tuple(map(float, values)) for values in (config.mean, config.std))
    return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])


def _config(name: str) -> Any:
    """What timm knows of a network's weights; of none of them, what its architecture expects."""
    config = timm.get_pretrained_cfg(name)
    if config is None:
        raise VAAError(f"timm {timm.__version__} does not know the backbone {name}")
    return config


def weights_address(name: str) -> tuple[str, str]:
    """The repository of the Hugging Face hub that has a network's weights, and their file's name.

    Raises:
        VAAError: timm has no weights of it there.
    """
    config = _config(name)
    if not config.hf_hub_id:
        raise VAAError(
            f"timm has no ImageNet weights of {name}; give a file with `weights=FILE`, or start "
            "from scratch with `weights=none`"
        )
    return config.hf_hub_id, config.hf_hub_filename or "model.safetensors"


def _create(
    name: str, state: dict[str, Tensor] | None, output_stride: int, image_size: tuple[int, int]
) -> Any:
    """Make timm's network of four stages, with weights if there are some."""
    # It warns of the weights of the classifier, which a backbone has no use for.
    logging.getLogger("timm").setLevel(logging.ERROR)
    options: dict[str, Any] = {}
    if _config(name).fixed_input_size:
        options["img_size"] = image_size
    if output_stride != 32:
        options["output_stride"] = output_stride
    if state is not None:
        options |= {"pretrained": True, "pretrained_cfg_overlay": {"state_dict": state}}
    try:
        network = timm.create_model(
            name, features_only=True, out_indices=tuple(range(-_STAGES, 0)), **options
        )
    except Exception as error:  # each of its networks refuses in a way of its own
        if output_stride != 32:
            message = f"{name} cannot have an output stride of {output_stride}"
        elif state is not None:
            message = f"the weights are not {name}'s"
        else:
            message = (
                f"{name} does not give the features of four stages for {image_size[0]}x"
                f"{image_size[1]} images; choose another backbone, such as convnext_tiny"
            )
        raise VAAError(f"{message} ({one_line(error, 100)})") from error
    if state is not None:
        _require_taken(network, name, state)
    return network


def _require_taken(network: nn.Module, name: str, state: dict[str, Tensor]) -> None:
    """Check that a network has the weights of a file: timm takes what there is, and translates.

    Raises:
        VAAError: too many of its weights are not the file's.
    """
    given = {_fingerprint(tensor) for tensor in state.values()}
    weights = {key: value for key, value in network.state_dict().items() if value.dim() > 1}
    missing = [key for key, value in weights.items() if _fingerprint(value) not in given]
    if len(missing) > _FEW * len(weights):
        raise VAAError(
            f"the weights are not {name}'s: {len(missing)} of {len(weights)} tensors are missing, "
            f"such as {missing[0]!r}"
        )


def _fingerprint(tensor: Tensor) -> tuple[int, tuple[float, ...]]:
    values = tensor.detach().flatten()
    return values.numel(), tuple(values[:: max(1, len(values) // 4)].float().tolist())


def _with_plain_norms(module: nn.Module) -> Any:
    """Put each of timm's joined norm and activation in two modules.

    So a batch normalisation is what all else here takes it for: synchronised over processes, or
    folded into the convolution before it.
    """
    if isinstance(module, BatchNormAct2d):
        norm = same_norm(module, nn.BatchNorm2d)
        return nn.Sequential(norm, module.drop, module.act)
    for name, child in module.named_children():
        replaced = _with_plain_norms(child)
        if replaced is not child:
            setattr(module, name, replaced)
    return module


def _listed(strides: list[int]) -> str:
    return ", ".join(map(str, strides))
