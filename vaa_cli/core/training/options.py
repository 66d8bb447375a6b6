"""The options of a training. Each value, with its bounds and its help, is declared here only.

The command line is generated from these fields (`commands/train_parameters.py`), and files and
`key=value` words are checked against them (`option_sources.py`). Nothing here needs torch or
pydantic, so that `vaa --help` answers at once.
"""

from dataclasses import dataclass, fields
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt

from vaa_cli.core.images.names import AugmentName
from vaa_cli.core.models.names import (
    AttentionName,
    ClassifierName,
    LossName,
    PrecisionName,
    Weighed,
    Weighting,
)
from vaa_cli.core.training.option_values import (
    Help,
    Parse,
    by_recipe,
    parse_backbone,
    parse_duration,
    parse_image_size,
    parse_stages,
)
from vaa_cli.core.training.recipes import RECIPES, Recipe, RecipeName

BestBy = Literal["mA", "mAP"]
CacheName = Literal["none", "ram"]

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
        stages: stages that carry attention; none for the plain baseline.
        classifier: kind of attention classifier.
        attention: `learned`, or `uniform` for the control of an ablation.
        confidence: let the confidence branch weight the attention.
        hidden: channels of attention modules and classifiers.
        output_stride: pixels that a cell of stage 4 stands for, see `backbones.make_backbone`.
        loss: loss of the primary logits: `focal` (eq. 4) or `bce` (eq. 3).
        attention_loss: loss of the attention logits: `bce` (eq. 6) or `focal`.
        attention_loss_weight: factor of the losses of the attention logits.
        gamma: focusing exponent.
        loss_weights: see `models.losses.attribute_weights`; None for `prior` with the focal loss
            and `none` with the cross-entropy.
        weigh: whether these are on the primary loss or on all.
        history: epochs that the prediction history holds; 0 for no history.
        burn_in: first epochs whose predictions the history leaves out.
        recipe: see `recipes.RECIPES`.
        epochs: passes over the training split.
        batch_size: images in a batch, of all processes together.
        accumulate: parts that a process computes its shard of a batch in, one after the other.
        lr: highest learning rate.
        weight_decay: weight decay of all weights but norms and biases; with SGD of all.
        augment: kind of augmentation, see `images.augment.Augmentation`.
        mirror: mirror half of the pictures.
        jitter: change brightness, contrast and saturation by up to this much.
        erase: fraction of the pictures of which a rectangle is filled with noise.
        backbone_lr_scale: learning rate of the backbone as a fraction of that of the heads.
        warmup: fraction of all steps in which AdamW's rate rises.
        momentum: momentum of SGD.
        clip_norm: norm that gradients are scaled down to; 0 leaves them.
        ema: decay of the moving average of the weights; 0 keeps none.
        sync_bn: batch normalisation over the images of all processes; None where a process has
            fewer than 16 of a batch.
        patience: epochs with neither a better score nor a lower loss on val before the end; 0
            never ends early.
        best_by: score on val that chooses the best epoch.
        calibrate: fit scaling and thresholds on val when the training is finished.
        shuffle_buffer: pictures among which those in shards are shuffled, see
            `sampling.shard_batches`.
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
        Parse(parse_backbone),
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
            "Where the model starts: imagenet (torchvision's newest or timm's), imagenet1k_v1, "
            "imagenet1k_v2, none (from scratch), a "
            "file with their names, or a run of vaa, whose attributes of the same names are taken.",
            _MODEL,
        ),
    ] = "imagenet"
    image_size: (
        Annotated[
            tuple[Annotated[int, Ge(32)], Annotated[int, Ge(32)]],
            Parse(parse_image_size),
            Help(by_recipe("image_size", "HEIGHTxWIDTH, or one side."), _MODEL),
        ]
        | None
    ) = None
    stages: (
        Annotated[
            tuple[int, ...],
            Parse(parse_stages),
            Help(
                by_recipe(
                    "stages", "Stages that carry attention, of 2, 3 and 4; none: plain baseline."
                ),
                _MODEL,
            ),
        ]
        | None
    ) = None
    classifier: Annotated[ClassifierName, Help("What makes logits of attention maps.", _MODEL)] = (
        "pooled"
    )
    attention: Annotated[
        AttentionName,
        Help("uniform: maps that are the same everywhere, to see what attention adds.", _MODEL),
    ] = "learned"
    confidence: Annotated[
        bool, Help("Weight attention by the confidence that an attribute is there.", _MODEL)
    ] = True
    hidden: Annotated[int, Ge(1)] = 512
    output_stride: Literal[32, 16] = 32
    loss: Annotated[LossName, Help(by_recipe("loss", "Of the primary logits."), _LOSS)] | None = (
        None
    )
    attention_loss: Annotated[LossName, Help("Of the attention logits.", _LOSS)] = "bce"
    attention_loss_weight: Annotated[
        float, Ge(0), Help("Factor of the losses of the attention logits.", _LOSS)
    ] = 1.0
    gamma: Annotated[float, Ge(0), Help("Focusing exponent.", _LOSS)] = 0.5
    loss_weights: (
        Annotated[
            Weighting,
            Help(
                "prior: exp(-a); label: exp(1-a) where present, exp(a) where absent; none: 1. "
                "Default: prior with focal, none with bce; par-baseline: label.",
                _LOSS,
            ),
        ]
        | None
    ) = None
    weigh: Annotated[Weighed, Help("The losses that these weights are on.", _LOSS)] = "primary"
    history: Annotated[
        int,
        Ge(0),
        Le(100),
        Help("Epochs of predictions that guide the attention loss; 0: none.", _LOSS),
    ] = 5
    burn_in: Annotated[int, Ge(0), Help("First epochs that the history leaves out.", _LOSS)] = 2
    recipe: Annotated[
        RecipeName,
        Help(
            "default: AdamW, warm-up, cosine. paper: as the authors train. par-baseline: as "
            "Rethinking_of_PAR does, without attention.",
            _OPTIMISATION,
        ),
    ] = "default"
    epochs: Annotated[int, Ge(1), Help(by_recipe("epochs"), _OPTIMISATION)] | None = None
    batch_size: (
        Annotated[
            int,
            Ge(2),
            Help(
                by_recipe("batch_size", "Pictures in a batch, of all processes together."),
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
        Annotated[float, Ge(0), Help(by_recipe("lr", "Highest learning rate."), _OPTIMISATION)]
        | None
    ) = None
    weight_decay: Annotated[float, Ge(0), Help(by_recipe("weight_decay"), _OPTIMISATION)] | None = (
        None
    )
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
    jitter: Annotated[
        float,
        Ge(0),
        Le(1),
        Help("Change brightness, contrast and saturation by up to this much.", _OPTIMISATION),
    ] = 0.0
    erase: Annotated[
        float,
        Ge(0),
        Le(1),
        Help("Fraction of the pictures of which a rectangle becomes noise.", _OPTIMISATION),
    ] = 0.0
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
            Ge(0),
            Help(
                by_recipe("clip_norm", "Scale gradients down to this norm; 0: never."),
                _OPTIMISATION,
            ),
        ]
        | None
    ) = None
    ema: (
        Annotated[
            float,
            Ge(0),
            Lt(1),
            Help(
                by_recipe(
                    "ema",
                    "Decay of a moving average of the weights, which is kept where it scores "
                    "better; 0: none.",
                ),
                _OPTIMISATION,
            ),
        ]
        | None
    ) = None
    sync_bn: (
        Annotated[
            bool,
            Help(
                "Batch normalisation over all processes' pictures. Default: where a process has "
                "fewer than 16 at a time.",
                _OPTIMISATION,
            ),
        ]
        | None
    ) = None
    patience: (
        Annotated[
            int,
            Ge(0),
            Help(
                by_recipe(
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
    shuffle_buffer: Annotated[
        int, Ge(1), Help("Pictures among which those in shards are shuffled.", _SPEED)
    ] = 10_000
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
        values = {k: getattr(recipe, k) if v is None else v for k, v in chosen.items()}
        if values["loss_weights"] is None:
            values["loss_weights"] = "prior" if values["loss"] == "focal" else "none"
        return Recipe(**values)


OPTION_NAMES = tuple(field.name for field in fields(TrainingOptions))
