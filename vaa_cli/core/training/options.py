"""The options of a training. Each value, with its bounds and its help, is declared here only.

The command line is generated from these fields (`commands/train_parameters.py`), and files and
`key=value` words are checked against them (`option_sources.py`). Nothing here needs torch or
pydantic, so that `vaa --help` answers at once.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt

from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.names import AugmentName
from vaa_cli.core.models.names import (
    ClassifierName,
    LossName,
    PrecisionName,
    Weighting,
    backbone_name,
)
from vaa_cli.core.training.recipes import RECIPES, Recipe, RecipeName

BestBy = Literal["mA", "mAP"]
CacheName = Literal["none", "ram"]

_SECONDS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Help:
    """The help of an option on the command line; an option without one has no switch there.

    Attributes:
        text: what the option does, in a line.
        panel: heading that it stands under.
        default: the default as people write it; None for the value itself.
    """

    text: str
    panel: str = ""
    default: str | None = None


@dataclass(frozen=True)
class Parse:
    """A function that makes an option's value of what people write: text, a number or a list."""

    function: Callable[[Any], Any]


def parse_image_size(value: object) -> object:
    """`224`, `256x128` (height x width) or two numbers, as a tuple of pixels.

    Raises:
        VAAError: the value is none of these, or a side is shorter than 32.
    """
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return value
    sides = str(value).lower().split("x")
    if len(sides) > 2 or not all(side.strip().isdecimal() for side in sides):
        raise VAAError(f"image size {value!r} is not HEIGHTxWIDTH, such as 256x128, or one number")
    height, width = int(sides[0]), int(sides[-1])
    if min(height, width) < 32:  # the backbones divide each side by 32
        raise VAAError(f"image size {value!r} is too small; each side needs 32 pixels or more")
    return height, width


def parse_stages(value: object) -> object:
    """`3,4`, one number or a list of numbers, as a sorted tuple of stages.

    Raises:
        VAAError: the value names no stage, one that carries no attention, or one twice.
    """
    if isinstance(value, list | tuple):
        value = ",".join(map(str, value))
    if isinstance(value, bool) or not isinstance(value, str | int):
        return value
    stages = [part.strip() for part in str(value).split(",")]
    if not set(stages) <= {"2", "3", "4"} or len(set(stages)) < len(stages):
        raise VAAError(f"stages {value!r}: name one or more of 2, 3 and 4, such as 3,4")
    return tuple(sorted(map(int, stages)))


def parse_duration(value: object) -> object:
    """`90s`, `10m`, `1.5h` or a number of seconds, in seconds.

    Raises:
        VAAError: the text is none of these.
    """
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh]?)\s*", value.lower())
    if not match:
        raise VAAError(f"{value!r} is not a length of time, such as 90s, 10m or 1h")
    return float(match[1]) * _SECONDS[match[2] or "s"]


def _parse_backbone(value: object) -> object:
    return backbone_name(value) if isinstance(value, str) else value


def _by_recipe(field: str, text: str = "") -> str:
    """Help with the defaults of the recipes."""
    default, *others = (f"{getattr(recipe, field):g}" for recipe in RECIPES.values())
    named = zip(list(RECIPES)[1:], others, strict=True)
    return f"{text} Default: {'; '.join([default, *(f'{n}: {v}' for n, v in named)])}.".strip()


_MODEL, _LOSS, _OPTIMISATION = "Model", "Loss", "Optimisation"
_RUN, _SPEED = "Run: keeping it and going on with it", "Speed and memory"


@dataclass(frozen=True)
class TrainingOptions:
    """The options of a training beside its data. None takes the recipe's value.

    `vaa_cli.train` checks them, and takes image sizes, stages and durations as text, too.

    Attributes:
        backbone: name of the backbone.
        weights: initial weights, see `initial_model.initial_model`.
        image_size: height and width in pixels.
        stages: stages that carry attention.
        classifier: kind of attention classifier.
        hidden: channels of attention modules and classifiers.
        output_stride: pixels that a cell of stage 4 stands for, see `backbones.make_backbone`.
        loss: loss of the primary logits: `focal` (eq. 4) or `bce` (eq. 3).
        attention_loss: loss of the attention logits: `bce` (eq. 6) or `focal`.
        gamma: focusing exponent.
        loss_weights: see `models.losses.attribute_weights`.
        history: epochs that the prediction history holds.
        burn_in: first epochs whose predictions the history leaves out.
        recipe: `default` or `paper`.
        epochs: passes over the training split.
        batch_size: images in a batch, of all processes together.
        accumulate: parts that a process computes its shard of a batch in, one after the other.
        lr: highest learning rate.
        weight_decay: weight decay of all weights but norms and biases; with SGD of all.
        augment: kind of augmentation, see `images.augment.Augmentation`.
        mirror: mirror half of the pictures.
        backbone_lr_scale: learning rate of the backbone as a fraction of that of the heads.
        warmup: fraction of all steps in which AdamW's rate rises.
        momentum: momentum of SGD.
        clip_norm: norm that gradients are scaled down to; None leaves them.
        ema: decay of the moving average of the weights; 0 keeps none.
        sync_bn: batch normalisation over the images of all processes.
        patience: epochs with neither a better score nor a lower loss on val before the end; 0
            never ends early.
        best_by: score on val that chooses the best epoch.
        calibrate: fit scaling and thresholds on val when the training is finished.
        seed: seed of weights, order and augmentation.
        deterministic: use only algorithms that give the same numbers each time.
        cache: `ram` keeps decoded pictures in memory.
        skip_bad_steps: number of steps in all whose loss may be not finite; they are left out.
        device: see `Compute.choose`.
        precision: see `Compute.choose`.
        compile: compile the model with `torch.compile`.
        workers: decoding processes of each training process; None chooses for the machine.
        save_every: seconds between checkpoints within an epoch; 0 for none.
        keep: number of checkpoints that are kept.
        tensorboard: write TensorBoard's files; None does where the package is installed.

    Example:
        >>> import vaa_cli as vaa
        >>> options = vaa.TrainingOptions(backbone="resnet18", epochs=5)
        >>> options.resolved().lr
        0.0003
    """

    backbone: Annotated[
        str,
        Parse(_parse_backbone),
        Help(
            "resnet (resnet101), densenet (densenet201), torchvision's other ResNets and "
            "DenseNets, or a network of timm with four stages, by its name.",
            _MODEL,
            default="resnet",
        ),
    ] = "resnet101"
    weights: Annotated[
        str,
        Help(
            "Where the model starts: imagenet (torchvision's or timm's), none (from scratch), a "
            "file with their names, or a run of vaa, whose attributes of the same names are taken.",
            _MODEL,
        ),
    ] = "imagenet"
    image_size: Annotated[
        tuple[Annotated[int, Ge(32)], Annotated[int, Ge(32)]],
        Parse(parse_image_size),
        Help("HEIGHTxWIDTH, or one side.", _MODEL, default="224x224"),
    ] = (224, 224)
    stages: Annotated[
        tuple[int, ...],
        Parse(parse_stages),
        Help("Stages that carry attention, of 2, 3 and 4.", _MODEL, default="3,4"),
    ] = (3, 4)
    classifier: Annotated[ClassifierName, Help("What makes logits of attention maps.", _MODEL)] = (
        "spatial"
    )
    hidden: Annotated[int, Ge(1)] = 512
    output_stride: Literal[32, 16] = 32
    loss: Annotated[LossName, Help("Of the primary logits.", _LOSS)] = "focal"
    attention_loss: Annotated[LossName, Help("Of the attention logits.", _LOSS)] = "bce"
    gamma: Annotated[float, Ge(0), Help("Focusing exponent.", _LOSS)] = 0.5
    loss_weights: Annotated[
        Weighting,
        Help("prior: exp(-a); label: exp(1-a) where present, exp(a) where absent; none: 1.", _LOSS),
    ] = "prior"
    history: Annotated[
        int, Ge(2), Le(100), Help("Epochs of predictions that guide the attention loss.", _LOSS)
    ] = 5
    burn_in: Annotated[int, Ge(0), Help("First epochs that the history leaves out.", _LOSS)] = 2
    recipe: Annotated[
        RecipeName,
        Help(
            "default: AdamW, warm-up, cosine. paper: SGD, rate divided at plateaus.", _OPTIMISATION
        ),
    ] = "default"
    epochs: Annotated[int, Ge(1), Help(_by_recipe("epochs"), _OPTIMISATION)] | None = None
    batch_size: (
        Annotated[
            int,
            Ge(2),
            Help(
                _by_recipe("batch_size", "Pictures in a batch, of all processes together."),
                _OPTIMISATION,
            ),
        ]
        | None
    ) = None
    accumulate: Annotated[
        int,
        Ge(1),
        Help("Compute a batch in so many parts, one after the other, to need less memory.", _SPEED),
    ] = 1
    lr: (
        Annotated[float, Ge(0), Help(_by_recipe("lr", "Highest learning rate."), _OPTIMISATION)]
        | None
    ) = None
    weight_decay: (
        Annotated[float, Ge(0), Help(_by_recipe("weight_decay"), _OPTIMISATION)] | None
    ) = None
    augment: (
        Annotated[
            AugmentName,
            Help(
                "pad-crop: move by 5 %; resize-crop: enlarge and crop, as the authors do; none. "
                "Default: pad-crop; paper: resize-crop.",
                _OPTIMISATION,
            ),
        ]
        | None
    ) = None
    mirror: Annotated[bool, Help("Mirror half of the pictures.", _OPTIMISATION)] = True
    backbone_lr_scale: Annotated[
        float,
        Gt(0),
        Help("Learning rate of the backbone, as a fraction of that of the heads.", _OPTIMISATION),
    ] = 1.0
    warmup: Annotated[float, Ge(0), Le(1)] = 0.05
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.9
    clip_norm: (
        Annotated[
            float,
            Gt(0),
            Help("Scale gradients down to this norm. Default: leave them.", _OPTIMISATION),
        ]
        | None
    ) = None
    ema: Annotated[
        float,
        Ge(0),
        Lt(1),
        Help(
            "Decay of a moving average of the weights, such as 0.999, scored and saved beside "
            "them; 0: none.",
            _OPTIMISATION,
        ),
    ] = 0.0
    sync_bn: Annotated[
        bool, Help("Batch normalisation over all processes' pictures.", _OPTIMISATION)
    ] = False
    patience: (
        Annotated[
            int,
            Ge(0),
            Help(
                _by_recipe(
                    "patience",
                    "Epochs with neither a better score nor a lower loss on val before the end; "
                    "0: never.",
                ),
                _OPTIMISATION,
            ),
        ]
        | None
    ) = None
    best_by: Annotated[BestBy, Help("Score on val that chooses the best epoch.", _OPTIMISATION)] = (
        "mAP"
    )
    calibrate: Annotated[
        bool,
        Help("End by fitting each attribute's scaling and threshold on val.", _OPTIMISATION),
    ] = True
    compile: Annotated[
        bool, Help("Let torch compile the model: minutes at first, faster steps then.", _SPEED)
    ] = False
    cache: Annotated[
        CacheName, Help("ram: decode each picture once and keep it in memory.", _SPEED)
    ] = "none"
    save_every: Annotated[
        float,
        Ge(0),
        Parse(parse_duration),
        Help(
            "Time between checkpoints within an epoch, such as 90s, 10m or 1h; 0: none. Each "
            "epoch ends with one.",
            _RUN,
            default="10m",
        ),
    ] = 600.0
    keep: Annotated[int, Ge(1), Help("How many checkpoints stay.", _RUN)] = 1
    skip_bad_steps: Annotated[
        int,
        Ge(0),
        Help("Steps in all that may be left out because their loss is no number.", _RUN),
    ] = 0
    tensorboard: (
        Annotated[
            bool,
            Help("Write TensorBoard's files. Default: if tensorboard is installed.", _RUN),
        ]
        | None
    ) = None
    deterministic: Annotated[
        bool,
        Help("Only algorithms that give the same numbers each time, on a GPU too; slower.", _RUN),
    ] = False
    seed: Annotated[int, Ge(0), Help("Seed of all randomness.")] = 0
    device: Annotated[str, Help("cpu, cuda, cuda:1, mps, or auto: a GPU if there is one.")] = "auto"
    precision: Annotated[
        PrecisionName,
        Help("fp32, bf16, fp16, or auto: the fastest that the device computes in."),
    ] = "auto"
    workers: (
        Annotated[
            int,
            Ge(0),
            Help("Processes that decode pictures. Default: one a core, 8 at most."),
        ]
        | None
    ) = None

    def resolved(self) -> Recipe:
        """The recipe with the values that the user chose."""
        recipe = RECIPES[self.recipe]
        chosen = {f.name: getattr(self, f.name, None) for f in fields(Recipe)}
        return Recipe(**{k: getattr(recipe, k) if v is None else v for k, v in chosen.items()})


OPTION_NAMES = tuple(field.name for field in fields(TrainingOptions))
# Options that a resumed training may change: where and how it is computed and kept, and when it
# ends early. It may also have more epochs.
CHANGEABLE = frozenset(
    {
        "patience",
        "calibrate",
        "skip_bad_steps",
        "device",
        "precision",
        "compile",
        "workers",
        "save_every",
        "keep",
        "tensorboard",
    }
)
