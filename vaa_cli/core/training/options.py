"""What decides a training beside its data; nothing here needs torch."""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from vaa_cli.core.errors import VAAError
from vaa_cli.core.models.names import (
    ClassifierName,
    LossName,
    PrecisionName,
    Weighting,
    backbone_name,
)

RecipeName = Literal["default", "paper"]
BestBy = Literal["mA", "mAP"]
CacheName = Literal["none", "ram"]


@dataclass(frozen=True)
class Recipe:
    """How a model is optimised, where the user says nothing else.

    Attributes:
        optimizer: `adamw` with warm-up and cosine, or `sgd` with a schedule by plateaus.
        patience: epochs with neither a better score nor a lower loss on val that end training.
    """

    optimizer: Literal["adamw", "sgd"]
    epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    patience: int


RECIPES: dict[RecipeName, Recipe] = {
    "default": Recipe("adamw", 30, 32, 3e-4, 0.05, patience=10),
    # The authors' code. It divides the rate after 10 such epochs, 3 times; then 10 more end it.
    "paper": Recipe("sgd", 100, 24, 1e-4, 5e-4, patience=40),
}


_SECONDS = {"s": 1, "m": 60, "h": 3600}


def parse_image_size(text: str) -> tuple[int, int]:
    """`224` or `256x128` (height x width) as two numbers of pixels.

    Raises:
        VAAError: it is none of these, or a side is shorter than 32.
    """
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.strip().isdecimal() for side in sides):
        raise VAAError(f"image size {text!r} is not HEIGHTxWIDTH, such as 256x128, or one number")
    height, width = int(sides[0]), int(sides[-1])
    if min(height, width) < 32:  # the backbones divide each side by 32
        raise VAAError(f"image size {text!r} is too small; each side needs 32 pixels or more")
    return height, width


def parse_stages(text: str) -> tuple[int, ...]:
    """`3,4` as the numbers of stages that carry attention, in order.

    Raises:
        VAAError: it names none, another stage, or one twice.
    """
    stages = [part.strip() for part in text.split(",")]
    if not set(stages) <= {"2", "3", "4"} or len(set(stages)) < len(stages):
        raise VAAError(f"stages {text!r}: name one or more of 2, 3 and 4, such as 3,4")
    return tuple(sorted(map(int, stages)))


def parse_duration(text: str) -> float:
    """`90s`, `10m`, `1.5h`, or a bare number of seconds, in seconds.

    Raises:
        VAAError: it is none of these.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh]?)\s*", text.lower())
    if not match:
        raise VAAError(f"{text!r} is not a length of time, such as 90s, 10m or 1h")
    return float(match[1]) * _SECONDS[match[2] or "s"]


def _from_text(parse: Callable[[str], Any]) -> BeforeValidator:
    """Read a value that people write as text, and leave others to the type's own check."""
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


def _size(value: object) -> object:
    """A size as text, as one number or as two."""
    return parse_image_size(str(value)) if isinstance(value, str | int) else value


def _stages(value: object) -> object:
    """Stages as text, as one number or as a list, checked alike."""
    if isinstance(value, list | tuple):
        value = ",".join(map(str, value))
    return parse_stages(str(value)) if isinstance(value, str | int) else value


_Backbone = Annotated[str, _from_text(backbone_name)]
_Side = Annotated[int, Field(ge=32)]
_Switch = Annotated[bool, Field(strict=True)]
_Size = Annotated[tuple[_Side, _Side], BeforeValidator(_size)]
_Number = Annotated[float, Field(allow_inf_nan=False, strict=True)]
_Stages = Annotated[tuple[int, ...], BeforeValidator(_stages)]
_Seconds = Annotated[_Number, _from_text(parse_duration), Field(ge=0)]
_Count = Annotated[int, Field(ge=1, strict=True)]
_Index = Annotated[int, Field(ge=0, strict=True)]


@dataclass(frozen=True)
class TrainingOptions:
    """Everything that decides a training beside its data. None takes the recipe's value.

    Attributes:
        backbone: a full name.
        weights: where the backbone starts, see `backbones.load_weights`.
        image_size: height and width.
        stages: stages that carry attention.
        classifier: kind of attention classifier.
        hidden: channels of attention modules and classifiers.
        output_stride: pixels that a cell of stage 4 stands for, see `backbones.Backbone`.
        loss: of the primary logits: `focal` (eq. 4) or `bce` (eq. 3).
        attention_loss: of the attention logits: `bce` (eq. 6) or `focal`.
        gamma: focusing exponent.
        loss_weights: see `losses.attribute_weights`.
        history: epochs that the prediction history remembers.
        burn_in: first epochs whose predictions are not remembered.
        recipe: `default` or `paper`.
        epochs: passes over the training split.
        batch_size: images a step, of all processes together.
        accumulate: parts that a process computes its share of a batch in, one after the other.
        lr: highest learning rate.
        weight_decay: of all weights but norms and biases; with SGD of all.
        warmup: share of all steps in which AdamW's rate rises.
        momentum: of SGD.
        clip_norm: gradients are scaled down to this norm; None leaves them.
        patience: epochs with neither a better score nor a lower loss on val before the end; 0
            never ends early.
        best_by: the score on val that tells the best epoch.
        ema: decay of the moving average of the weights; 0 keeps none.
        sync_bn: batch normalisation over all processes' pictures.
        seed: of weights, order and augmentation.
        deterministic: only algorithms that give the same numbers each time.
        cache: `ram` keeps decoded pictures in memory.
        skip_bad_steps: steps in all whose loss may be no number; they are left out.
        device: see `Compute.choose`.
        precision: see `Compute.choose`.
        compile: let torch compile the model.
        workers: decoding processes of each training process; None chooses for the machine.
        save_every: seconds between checkpoints within an epoch; 0 for none.
        keep: how many checkpoints stay.
        tensorboard: write TensorBoard's events; None where the package is installed.
    """

    backbone: _Backbone = "resnet101"
    weights: str = "imagenet"
    image_size: _Size = (224, 224)
    stages: _Stages = (3, 4)
    classifier: ClassifierName = "spatial"
    hidden: _Count = 512
    output_stride: Literal[32, 16] = 32
    loss: LossName = "focal"
    attention_loss: LossName = "bce"
    gamma: Annotated[_Number, Field(ge=0)] = 0.5
    loss_weights: Weighting = "prior"
    history: Annotated[int, Field(ge=2, le=100, strict=True)] = 5
    burn_in: _Index = 2
    recipe: RecipeName = "default"
    epochs: _Count | None = None
    batch_size: Annotated[int, Field(ge=2, strict=True)] | None = None
    accumulate: _Count = 1
    lr: Annotated[_Number, Field(ge=0)] | None = None
    weight_decay: Annotated[_Number, Field(ge=0)] | None = None
    warmup: Annotated[_Number, Field(ge=0, le=1)] = 0.05
    momentum: Annotated[_Number, Field(ge=0, lt=1)] = 0.9
    clip_norm: Annotated[_Number, Field(gt=0)] | None = None
    patience: _Index | None = None
    best_by: BestBy = "mA"
    ema: Annotated[_Number, Field(ge=0, lt=1)] = 0.0
    sync_bn: _Switch = False
    seed: _Index = 0
    deterministic: _Switch = False
    cache: CacheName = "none"
    skip_bad_steps: _Index = 0
    device: str = "auto"
    precision: PrecisionName = "auto"
    compile: _Switch = False
    workers: _Index | None = None
    save_every: _Seconds = 600.0
    keep: _Count = 1
    tensorboard: _Switch | None = None

    def resolved(self) -> Recipe:
        """The recipe with what the user chose in it."""
        recipe = RECIPES[self.recipe]
        chosen = {f.name: getattr(self, f.name, None) for f in fields(Recipe)}
        return Recipe(**{k: getattr(recipe, k) if v is None else v for k, v in chosen.items()})


# What a resumed training may do in another way: where and how it is computed and kept, not what.
CHANGEABLE = frozenset(
    [
        "skip_bad_steps",
        "device",
        "precision",
        "compile",
        "workers",
        "save_every",
        "keep",
        "tensorboard",
    ]
)
OPTION_NAMES = tuple(field.name for field in fields(TrainingOptions))
