"""Batch normalisation over processes against `nn.BatchNorm2d` over all samples in one."""

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from vaa_cli.core.models.sync_batch_norm import synchronise

# Samples of each process: unequal, and one alone, which is too few for a batch of its own.
SHARES = (1, 4, 3)
CPU = torch.device("cpu")


def make_net() -> nn.Sequential:
    """Convolutions and norms, the last over single cells; no weight and mean is just 1 or 0."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Conv2d(4, 6, 4), nn.BatchNorm2d(6, momentum=None),
    )  # fmt: skip
    with torch.no_grad():
        for tensor in [*net.parameters(), *net.buffers()]:
            if tensor.is_floating_point():
                tensor.add_(0.1 * torch.rand_like(tensor))
    return net


def make_batch(samples: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(samples, 3, 6, 6, generator=generator) * 3 + 5
    return images, torch.randn(samples, 6, 1, 1, generator=generator)


def losses(output: Tensor, targets: Tensor) -> Tensor:
    return (output - targets).square().sum()


def one_process(samples: int) -> dict[str, Tensor]:
    """What there is to be found: two steps' gradients and running statistics."""
    net = make_net()
    images, targets = make_batch(samples)
    images.requires_grad_()
    for _ in range(2):
        net.zero_grad()
        output = net(images)
        torch.autograd.backward(losses(output, targets) / samples)
    gradients = {f"gradient of {n}": p.grad for n, p in net.named_parameters()}
    assert images.grad is not None
    return {
        "output": output.detach(),
        "gradient of images": images.grad / 2,
        **{name: grad for name, grad in gradients.items() if grad is not None},
        **net.state_dict(),
    }


def work(rank: int, size: int, place: str, results: Any) -> None:
    """One of the processes: sends its part of the same."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=place, rank=rank, world_size=size)
    start = sum(SHARES[:rank])
    part = slice(start, start + SHARES[rank])
    images, targets = (tensor[part] for tensor in make_batch(sum(SHARES)))
    images.requires_grad_()
    net = make_net()
    synchronise(net, CPU)
    parallel = DistributedDataParallel(net)
    for _ in range(2):
        parallel.zero_grad()
        output = parallel(images)
        # DistributedDataParallel takes the mean of the gradients over processes.
        torch.autograd.backward(losses(output, targets) * size / sum(SHARES))
    assert images.grad is not None
    found = {
        "output": output.detach(),
        "gradient of images": images.grad / size / 2,
        **{f"gradient of {n}": p.grad for n, p in net.named_parameters()},
        **{name: value.clone() for name, value in net.state_dict().items()},
    }
    with torch.autocast("cpu", torch.bfloat16):
        half = net[1](images.detach().bfloat16()[:, :1].expand(-1, 4, -1, -1))
    last = (
        images.detach()[:, :1].expand(-1, 4, -1, -1).contiguous(memory_format=torch.channels_last)
    )
    found["kept dtype"] = torch.tensor(half.dtype == torch.bfloat16)
    found["kept layout"] = torch.tensor(
        net[1](last).is_contiguous(memory_format=torch.channels_last)
    )
    net.load_state_dict(make_net().state_dict())
    found["scored"] = net.eval()(images).detach()
    results.put((rank, {name: value.numpy().copy() for name, value in found.items()}))
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.slow
def test_the_same_as_one_process(tmp_path: Path) -> None:
    size, context = len(SHARES), multiprocessing.get_context("spawn")
    results = context.Queue()
    arguments = (size, f"file://{tmp_path / 'meet'}", results)
    processes = [context.Process(target=work, args=(rank, *arguments)) for rank in range(size)]
    for process in processes:
        process.start()
    by_rank = dict(results.get(timeout=120) for _ in processes)
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    parts = [{n: torch.from_numpy(v) for n, v in by_rank[rank].items()} for rank in range(size)]

    samples = sum(SHARES)
    expected = one_process(samples)
    for name in ("output", "gradient of images"):
        together = torch.cat([part.pop(name) for part in parts])
        torch.testing.assert_close(together, expected.pop(name), rtol=1e-4, atol=1e-5)
    scored = torch.cat([part.pop("scored") for part in parts])
    net = make_net().eval()
    torch.testing.assert_close(scored, net(make_batch(samples)[0]).detach())
    for part in parts:
        assert part.pop("kept dtype") and part.pop("kept layout")
        assert part.keys() == expected.keys()
        for name, value in part.items():
            torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-5, msg=name)


def test_alone_it_is_the_same_layer() -> None:
    net, other = make_net(), synchronise(make_net(), CPU)
    images, _ = make_batch(4)
    torch.testing.assert_close(other(images), net(images), rtol=0, atol=0)
    assert net.state_dict().keys() == other.state_dict().keys()
    for name, value in net.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
