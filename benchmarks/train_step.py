"""What the method costs beside its bare backbone: ratios from one run.

    python benchmarks/train_step.py [--backbone resnet50] [--image-size 224x224] [--batch-size 8]

A training step (forward, loss, backward, AdamW) on tensors that are already in memory, of the bare
backbone with a linear layer and of VAA with each classifier, in turn, several rounds; then the
share of a step that the prediction history takes. Medians over the rounds.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from vaa_cli.core.backbone_names import backbone_name
from vaa_cli.core.devices import Compute
from vaa_cli.core.history import PredictionHistory
from vaa_cli.core.losses import VAALoss
from vaa_cli.core.model import CLASSIFIERS, VAA
from vaa_cli.core.option_values import parse_image_size

ATTRIBUTES = 35  # PETA's


def make_step(model: VAA, compute: Compute, images: torch.Tensor) -> Callable[[], None]:
    """A training step of a model on the same images again and again."""
    model = model.to(compute.device).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    targets = torch.randint(0, 2, (len(images), ATTRIBUTES), device=compute.device)
    criterion = VAALoss(torch.full((ATTRIBUTES,), 0.3)).to(compute.device)

    def step() -> None:
        with compute.autocast():
            output = model(images)
        losses = criterion(output.primary, output.attention, targets)
        optimizer.zero_grad(set_to_none=True)
        losses.total.backward()
        optimizer.step()

    return step


def seconds(step: Callable[[], None], compute: Compute, times: int) -> float:
    """Mean time of a call."""
    start = time.perf_counter()
    for _ in range(times):
        step()
    if compute.device.type == "cuda":
        torch.cuda.synchronize(compute.device)
    return (time.perf_counter() - start) / times


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--image-size", default="224x224")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args()
    compute = Compute.choose(options.device, options.precision)
    name, size = backbone_name(options.backbone), parse_image_size(options.image_size)
    print(f"{name} at {size[0]} x {size[1]}, batch {options.batch_size}, {compute}")

    images = torch.randn(options.batch_size, 3, *size, device=compute.device)
    images = images.contiguous(memory_format=torch.channels_last)
    steps = {"bare backbone": make_step(VAA(name, ATTRIBUTES, size, stages=()), compute, images)}
    for classifier in CLASSIFIERS:
        model = VAA(name, ATTRIBUTES, size, classifier=classifier)
        steps[f"VAA, {classifier}"] = make_step(model, compute, images)
    times: dict[str, list[float]] = {what: [] for what in steps}
    for step in steps.values():
        seconds(step, compute, 1)  # allocations and kernel choices are not the step's
    for _ in range(options.rounds):
        for what, step in steps.items():
            times[what].append(seconds(step, compute, options.steps))
    bare = statistics.median(times["bare backbone"])
    for what, measured in times.items():
        median = statistics.median(measured)
        speed = f"{options.batch_size / median:8.1f} img/s"
        print(f"{what:20}{speed}   {bare / median:.3f} of the bare backbone's speed")

    history = PredictionHistory(100_000, ATTRIBUTES, device=compute.device)
    rows = torch.randperm(100_000, device=compute.device)[: options.batch_size]
    probabilities = torch.rand(options.batch_size, ATTRIBUTES, device=compute.device)

    def remember() -> None:
        history.std(rows)
        history.update(rows, probabilities)

    seconds(remember, compute, 10)
    share = seconds(remember, compute, 100) / statistics.median(times["VAA, spatial"])
    print(f"{'history':20}{share:8.2%} of a step, {history.nbytes / 100_000:.0f} bytes a sample")


if __name__ == "__main__":
    main()
