"""What training costs beside its bare backbone, and beside tensors in memory: ratios of one run.

    python benchmarks/train_step.py [--backbone resnet50] [--image-size 224x224] [--batch-size 8]
        [--images DIR] [--classifiers]

Three things in turn, over several rounds, of which the medians count:

1. the loop of `vaa train` itself on JPEG files, with its loader processes, history and all;
2. its step on batches that are in memory already, as the loader gives them;
3. a training step of the bare backbone with a linear layer, cross-entropy and AdamW, on
   normalised tensors in memory.

While the others have their turn, the loop's loader processes decode ahead. So as many steps as
they can have ready are done first in each of its turns, and not measured. Validation and
checkpoints are not part of it: they come once an epoch.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from vaa_cli.core.datasets.prepared import Prepared
from vaa_cli.core.images.decode import is_picture
from vaa_cli.core.images.loader import PictureLoader
from vaa_cli.core.labels.priors import Priors
from vaa_cli.core.labels.table import LabelTable
from vaa_cli.core.models.backbones import IMAGENET_MEAN, IMAGENET_STD
from vaa_cli.core.models.devices import Compute
from vaa_cli.core.models.inference import Normalisation
from vaa_cli.core.models.losses import VAALoss, cross_entropy, reduce_terms
from vaa_cli.core.models.model_file import new_model
from vaa_cli.core.models.prediction_history import PredictionHistory
from vaa_cli.core.models.vaa import CLASSIFIERS, VAA
from vaa_cli.core.system.distributed import ProcessGroup
from vaa_cli.core.training.events import StepReport
from vaa_cli.core.training.loop import training_events
from vaa_cli.core.training.option_sources import with_values
from vaa_cli.core.training.options import TrainingOptions
from vaa_cli.core.training.sampling import augmented_requests
from vaa_cli.core.training.setup import model_card
from vaa_cli.core.training.step import BatchShard, train_step
from vaa_cli.core.training.train_state import TrainState

Step = Callable[[], None]

HISTORY_SAMPLES = 100_000
DRAWN = 64  # pictures, where no folder is given
DRAWN_SIZE = (400, 600)


def draw_pictures(folder: Path) -> None:
    """JPEGs of a camera's kind: smooth shapes and some noise, not too easy to decode."""
    rng = np.random.default_rng(0)
    for number in range(DRAWN):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 8, 3), dtype=np.uint8))
        pixels = np.asarray(coarse.resize(DRAWN_SIZE, Image.Resampling.BICUBIC)).astype(int)
        pixels = pixels + rng.integers(-12, 13, pixels.shape)
        picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        picture.save(folder / f"{number}.jpg", quality=90)


def make_data(images: Path, rows: int, attributes: int) -> Prepared:
    """A dataset with random labels: so many rows over the pictures of a folder, again and again."""
    names = sorted(path.name for path in images.iterdir() if is_picture(path.name))
    rng = np.random.default_rng(0)
    table = LabelTable(
        images,
        list(itertools.islice(itertools.cycle(names), rows)),
        tuple(f"attribute{c}" for c in range(attributes)),
        rng.integers(0, 2, (rows, attributes), dtype=np.int8),
    )
    val = table.select(range(8))
    return Prepared(images, "benchmark", {"train": table, "val": val}, Priors.of(table))


def loop_steps(data: Prepared, options: TrainingOptions, run: Path) -> Step:
    """A step of the real training, each time that it is called."""
    events = training_events(data, options, run)

    def step() -> None:
        while not isinstance(next(events), StepReport):
            pass

    return step


def memory_steps(data: Prepared, options: TrainingOptions, compute: Compute) -> Step:
    """A step of the same learner on batches that are in memory."""
    card = model_card(data, options)
    group = ProcessGroup()
    state = TrainState(new_model(card), card, data, options, 1000, compute, group)
    table, size = data.split("train"), options.resolved().batch_size
    rows = [np.arange(start, start + size) for start in range(0, 4 * size, size)]
    loader = PictureLoader(card.image_size, 0, compute.pins_memory)
    loaded = loader.load(augmented_requests(table, part, 0, 0) for part in rows)
    batches = [
        BatchShard(part, part, batch.pixels, range(size))
        for part, batch in zip(rows, loaded, strict=True)
    ]
    turns = itertools.cycle(batches)

    def step() -> None:
        train_step(state, next(turns), compute, group)

    return step


def plain_steps(
    model: VAA, data: Prepared, options: TrainingOptions, compute: Compute, method: bool
) -> Step:
    """A training step of a model on the same normalised images again and again.

    Args:
        model: the bare backbone, or the method.
        method: the method's loss, not the cross-entropy alone.
    """
    model = model.to(compute.device).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    table, size = data.split("train"), options.resolved().batch_size
    loader = PictureLoader(options.resolved().image_size, 0)
    (batch,) = loader.load([augmented_requests(table, np.arange(size), 0, 0)])
    images = Normalisation(IMAGENET_MEAN, IMAGENET_STD).to(compute.device)(
        batch.pixels.to(compute.device)
    )
    images = images.contiguous(memory_format=torch.channels_last)
    targets = torch.from_numpy(table.labels[:size]).to(compute.device)
    criterion = VAALoss(torch.tensor(data.priors.prior, dtype=torch.float32)).to(compute.device)

    def step() -> None:
        with compute.autocast():
            output = model(images)
        if method:
            loss = criterion(output.primary, output.attention, targets).total
        else:
            loss = reduce_terms(cross_entropy(output.primary, targets))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def seconds(step: Step, compute: Compute, times: int) -> float:
    """Mean time of a call."""
    wait(compute)
    start = time.perf_counter()
    for _ in range(times):
        step()
    wait(compute)
    return (time.perf_counter() - start) / times


def wait(compute: Compute) -> None:
    """Let a GPU finish what it was given."""
    if compute.device.type == "cuda":
        torch.cuda.synchronize(compute.device)


def medians(
    steps: dict[str, Step], ahead: dict[str, int], compute: Compute, rounds: int, times: int
) -> dict[str, float]:
    """Seconds of each step, measured in turn.

    Args:
        steps: by name.
        ahead: steps to do before the measured ones, by name.
        compute: where.
        rounds: how often each has its turn.
        times: measured steps of a turn.
    """
    measured: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        seconds(step, compute, 2)  # allocations and kernel choices are not the step's
    for _ in range(rounds):
        for name, step in steps.items():
            for _ in range(ahead.get(name, 1)):
                step()
            measured[name].append(seconds(step, compute, times))
    return {name: statistics.median(values) for name, values in measured.items()}


def history_costs(
    options: TrainingOptions, attributes: int, compute: Compute
) -> tuple[float, float]:
    """Of a large dataset's history: seconds a step to read and write it, bytes a sample."""
    size = options.resolved().batch_size
    history = PredictionHistory(HISTORY_SAMPLES, attributes, device=compute.device)
    rows = torch.randperm(HISTORY_SAMPLES, device=compute.device)[:size]
    probabilities = torch.rand(size, attributes, device=compute.device)

    def remember() -> None:
        history.std(rows)
        history.update(rows, probabilities)

    seconds(remember, compute, 10)
    return seconds(remember, compute, 100), history.nbytes / HISTORY_SAMPLES


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--image-size", default="224x224")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--attributes", type=int, default=35, help="default: PETA's")
    parser.add_argument("--images", type=Path, help="folder of pictures; default: drawn ones")
    parser.add_argument("--classifiers", action="store_true", help="each one beside the backbone")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--workers", type=int, default=1)
    asked = parser.parse_args()
    names = ("backbone", "image_size", "batch_size", "device", "precision", "workers")
    options = with_values(
        TrainingOptions(weights="none", burn_in=0, save_every=0, tensorboard=False, epochs=1),
        {name: getattr(asked, name) for name in names},
        "",
    )
    compute = Compute.choose(options.device, options.precision)
    size, count = options.resolved().image_size, asked.attributes
    print(
        f"{options.backbone} at {size[0]} x {size[1]}, batch {asked.batch_size}, {count} "
        f"attributes, {compute}, {torch.get_num_threads()} threads, {asked.workers} workers"
    )
    with tempfile.TemporaryDirectory() as name:
        images = asked.images or Path(name)
        if not asked.images:
            draw_pictures(images)
        ahead = 2 * asked.workers + 1
        turns = 2 + asked.rounds * (asked.steps + ahead) + ahead + 2
        data = make_data(images, turns * asked.batch_size, count)
        steps = {
            "vaa train, files": loop_steps(data, options, Path(name) / "run"),
            "VAA, in memory": memory_steps(data, options, compute),
            "bare backbone": plain_steps(
                VAA(options.backbone, count, size, stages=()), data, options, compute, False
            ),
        }
        for classifier in CLASSIFIERS if asked.classifiers else ():
            model = VAA(options.backbone, count, size, classifier=classifier)
            steps[f"VAA, {classifier}"] = plain_steps(model, data, options, compute, True)
        times = medians(steps, {"vaa train, files": ahead}, compute, asked.rounds, asked.steps)
    for what, median in times.items():
        ratio = times["bare backbone"] / median
        print(f"{what:18}{asked.batch_size / median:8.1f} img/s   {ratio:.3f} of the bare backbone")
    loop = times["VAA, in memory"] / times["vaa train, files"]
    print(f"{'loop / in memory':18}{loop:8.3f}")
    seconds_a_step, size_a_sample = history_costs(options, count, compute)
    share = seconds_a_step / times["VAA, in memory"]
    print(f"{'history':18}{share:8.2%} of a step, {size_a_sample:.0f} bytes a sample")


if __name__ == "__main__":
    main()
