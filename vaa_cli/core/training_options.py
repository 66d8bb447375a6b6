"""What decides a training beside its data; nothing here needs torch."""

import difflib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from vaa_cli.core.backbone_names import backbone_name
from vaa_cli.core.choices import (
    BestBy,
    CacheName,
    ClassifierName,
    LossName,
    PrecisionName,
    RecipeName,
    Weighting,
)
from vaa_cli.core.errors import VAAError
from vaa_cli.core.files import reading_errors
from vaa_cli.core.option_values import parse_duration, parse_image_size, parse_stages

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


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
_CHECK = TypeAdapter(TrainingOptions)
OPTION_NAMES = tuple(field.name for field in fields(TrainingOptions))


def with_values(
    options: TrainingOptions, values: Mapping[str, object], where: str
) -> TrainingOptions:
    """Options with some of them set to other values.

    Args:
        options: the others.
        values: by name; `batch-size` is as good as `batch_size`.
        where: where the values come from, for messages; empty where they need not say.

    Raises:
        VAAError: there is no such option, or the value is not one of its.
    """
    where = where and f"{where}: "
    given = {name.replace("-", "_"): value for name, value in values.items()}
    for name in given:
        if name not in OPTION_NAMES:
            all_names = ", ".join(OPTION_NAMES)
            nearest = difflib.get_close_matches(name, OPTION_NAMES, n=2, cutoff=0.5)
            hint = f"did you mean {' or '.join(nearest)}?" if nearest else f"one of {all_names}"
            raise VAAError(f"{where}no option {name!r}; {hint}")
    try:
        checked = _CHECK.validate_python(given)
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"][0].lower() + first["msg"][1:]
        raise VAAError(f"{where}{first['loc'][0]} = {first['input']!r}: {message}") from error
    except VAAError as error:
        raise VAAError(f"{where}{error}") from error
    return replace(options, **{name: getattr(checked, name) for name in given})


def read_option_file(path: Path) -> dict[str, object]:
    """The options in a TOML file, by name.

    Raises:
        VAAError: it cannot be read or is no TOML.
    """
    with reading_errors(path):
        content = path.read_bytes()
    try:
        return tomllib.loads(content.decode())
    except ValueError as error:  # of TOML and of UTF-8
        raise VAAError(f"{path} is not a TOML file: {error}") from error


def parse_settings(settings: Sequence[str]) -> dict[str, object]:
    """`key=value` words as values by name; a value is TOML's, or text as it stands.

    Raises:
        VAAError: a word has no `=`.
    """
    values: dict[str, object] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name.strip():
            raise VAAError(f"--set {setting}: write it as key=value, such as hidden=256")
        try:
            values[name.strip()] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            values[name.strip()] = text.strip()
    return values


def resumed_options(
    kept: Mapping[str, Any], asked: TrainingOptions, named: Iterable[str], run: Path
) -> TrainingOptions:
    """The options of a run that goes on.

    Args:
        kept: the options that the run was started with, by name.
        asked: what the user asks for now.
        named: which of these the user named.
        run: the run, for messages.

    Raises:
        VAAError: the user asks for another training than the one that was started.
    """
    started = with_values(TrainingOptions(), kept, str(run))
    recipe = started.resolved()
    changed: dict[str, Any] = {}
    for name in named:
        before, now = getattr(started, name), getattr(asked, name)
        if before is None:  # what the recipe has
            before = getattr(recipe, name, None)
        if before != now and name not in CHANGEABLE:
            raise VAAError(
                f"{run} was started with {name} {before}, not {now}, and a resumed training "
                "keeps what it learns by; leave that out, or start a new run"
            )
        changed[name] = now
    return replace(started, **changed)
