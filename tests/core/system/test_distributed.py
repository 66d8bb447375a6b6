"""Processes that work together: each has its share, and all know the same afterwards.

Real processes do all their checks in one start each, as torch takes seconds to import; what they
found is in a file of each, which the tests here compare with what lists and sums give.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from vaa_cli.core.errors import VAAError
from vaa_cli.core.system.distributed import ProcessGroup, end_process

PROPERTY = settings(deadline=None, derandomize=True)
ROOT = Path(__file__).resolve().parents[3]
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
COUNTS = (0, 1, 2, 3, 4, 5, 6, 7, 12, 100)
COLUMNS = (1, 3)
TYPES = {"int64": torch.int64, "uint8": torch.uint8, "float32": torch.float32, "bool": torch.bool}
# What each of three processes says; of two processes the first two.
SPOKEN = {
    "unequal": ["a", "much longer than the others", ""],
    "unicode": ["Straße", "日本語 🙂", "e\u0301\0\n"],
    "names": ["caf\udce9.jpg", "\udc80\udcff", "plain.jpg"],  # names that are no UTF-8
    "empty": ["", "", ""],
    "only the last": ["", "", "x"],
    "long": ["x" * 100_000, "日" * 50_000, "y"],
    "json": ['{"a": "\\ud800"}', "[1, 2]", "null"],
}


# What each process does


def item_rows(items: range, columns: int, kind: torch.dtype) -> torch.Tensor:
    """The rows of some items, which tell the item and the column."""
    values = [[(7 * item + column) % 251 for column in range(columns)] for item in items]
    tensor = torch.tensor(values, dtype=torch.int64).reshape(len(items), columns)
    return tensor % 2 == 0 if kind is torch.bool else tensor.to(kind)


class Buffered(nn.Module):
    """Buffers of several kinds, and a weight that is none of them."""

    def __init__(self, value: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2)
        assert self.norm.running_mean is not None and self.norm.num_batches_tracked is not None
        self.norm.running_mean.fill_(value + 0.5)
        self.norm.num_batches_tracked.fill_(value)
        self.register_buffer("large", torch.tensor([2**40 + value]))
        self.register_buffer("small", torch.tensor([value], dtype=torch.uint8))
        self.register_buffer("flags", torch.tensor([value == 1, value != 1]))
        self.register_buffer("nothing", torch.zeros(0, 3))
        self.weight = nn.Parameter(torch.tensor([float(value)]))

    def found(self) -> dict[str, Any]:
        """The values of all, by name."""
        return {name: value.tolist() for name, value in self.state_dict().items()}


def check_all(group: ProcessGroup) -> dict[str, Any]:
    """Let a process do everything with the others, and tell what came of it."""
    found: dict[str, Any] = {"group": [group.rank, group.world_size, group.is_main]}
    whole, part = torch.tensor([[1, group.rank]]), torch.tensor(0.5 + group.rank)
    same = [group.all_reduce(tensor) is tensor for tensor in (whole, part)]
    found["add"] = [same, whole.tolist(), part.item(), str(whole.dtype), str(part.dtype)]
    found["together"] = {}
    for count in COUNTS:
        for columns in COLUMNS:
            for name, kind in TYPES.items():
                rows = item_rows(group.shard(count), columns, kind)
                all_rows = group.all_gather(rows, count)
                key = f"{count} {columns} {name}"
                kept = all_rows.dtype == kind
                found["together"][key] = [kept, list(all_rows.shape), all_rows.tolist()]
    found["all_say"] = {
        name: group.all_gather_texts(said[group.rank]) for name, said in SPOKEN.items()
    }
    found["first_says"] = {
        name: group.broadcast_text(said[group.rank]) for name, said in SPOKEN.items()
    }
    # Everyone's yes or no as the bits of a number.
    found["any_of"] = [group.any(bool(yes >> group.rank & 1)) for yes in range(2**group.world_size)]
    modules = [Buffered(group.rank + 1), Buffered(10 * (group.rank + 1))]
    group.average_buffers(modules)
    found["buffers"] = [module.found() for module in modules]
    return found


def work(report: str, ending: str) -> None:
    """What a process does: everything that there is, and then it ends or loses another one.

    Its exit code is 3.

    Args:
        report: the file that is written with what it found.
        ending: `well`, or `killed 0` or `raises 1`, which end that process amidst the work.
    """
    group = ProcessGroup.from_environment()
    how, _, rank = ending.partition(" ")
    found: dict[str, Any] = {}
    try:
        with group.connected():
            found = check_all(group) if how != "raises" else {}
            group.any(True)
            Path(report).write_text(json.dumps(found))
            if rank == str(group.rank):
                if how == "killed":
                    os.kill(os.getpid(), signal.SIGKILL)
                raise VAAError("this process has its own reason")
            if how != "well":
                for _ in range(1000):
                    group.all_reduce(torch.zeros(4))
        found["end"] = "well"
    except VAAError as error:
        found["end"] = str(error)
    Path(report).write_text(json.dumps(found))
    end_process(3)


# Starting them


@dataclass(frozen=True)
class Group:
    """What the processes of a group found, by rank, and their exit codes."""

    size: int
    reports: list[dict[str, Any]]
    codes: list[int]


def run_group(size: int, ending: str, folder: Path) -> Group:
    """Start processes as torchrun does, and wait for their ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    reports = [folder / f"{rank}.json" for rank in range(size)]
    processes = []
    for rank, report in enumerate(reports):
        environment = {
            **os.environ, "RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank),
            "LOCAL_WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
            "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT),
        }  # fmt: skip
        words = ["-c", "import sys, tests.core.system.test_distributed as t; t.work(*sys.argv[1:])"]
        processes.append(
            subprocess.Popen([sys.executable, *words, str(report), ending], env=environment)
        )
    try:
        codes = [process.wait(timeout=120) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return Group(size, [json.loads(report.read_text()) for report in reports], codes)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Group:
    """Two processes that come to a good end."""
    return run_group(2, "well", tmp_path_factory.mktemp("two"))


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Group:
    """Three processes of which the first is killed in the end."""
    return run_group(3, "killed 0", tmp_path_factory.mktemp("three"))


@pytest.fixture(params=["two", "three"])
def group(request: pytest.FixtureRequest) -> Group:
    started: Group = request.getfixturevalue(request.param)
    return started


# What they found


def test_each_process_knows_its_place(group: Group) -> None:
    found = [report["group"] for report in group.reports]
    assert found == [[rank, group.size, rank == 0] for rank in range(group.size)]


def test_add(group: Group) -> None:
    ranks = range(group.size)
    for report in group.reports:
        same, whole, part, *kinds = report["add"]
        assert same == [True, True]  # in place
        assert whole == [[group.size, sum(ranks)]]
        assert part == sum(0.5 + rank for rank in ranks)
        assert kinds == ["torch.int64", "torch.float32"]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("kind", TYPES)
def test_together(group: Group, count: int, kind: str) -> None:
    for columns in COLUMNS:
        expected = item_rows(range(count), columns, TYPES[kind]).tolist()
        for report in group.reports:
            kept, shape, rows = report["together"][f"{count} {columns} {kind}"]
            assert kept
            assert shape == [count, columns]
            assert rows == expected


@pytest.mark.parametrize("name", SPOKEN)
def test_all_say(group: Group, name: str) -> None:
    for report in group.reports:
        assert report["all_say"][name] == SPOKEN[name][: group.size]


@pytest.mark.parametrize("name", SPOKEN)
def test_first_says(group: Group, name: str) -> None:
    for report in group.reports:
        assert report["first_says"][name] == SPOKEN[name][0]


def test_any_of(group: Group) -> None:
    for report in group.reports:
        assert report["any_of"] == [yes > 0 for yes in range(2**group.size)]


def test_average_buffers(group: Group) -> None:
    for rank, report in enumerate(group.reports):
        for factor, found in zip((1, 10), report["buffers"], strict=True):
            expected, own = Buffered(factor), Buffered(factor * (rank + 1)).found()
            # Counts are the first process's; running statistics are the mean of all.
            mean = factor * sum(range(1, group.size + 1)) / group.size + 0.5
            assert expected.norm.running_mean is not None
            expected.norm.running_mean.fill_(mean)
            # Weights are no buffers: each process keeps its own.
            assert found == {**expected.found(), "weight": own["weight"]}


# How they end


def test_a_good_end(two: Group) -> None:
    assert [report["end"] for report in two.reports] == ["well", "well"]
    assert two.codes == [3, 3]


def assert_lost(line: str, rank: int, size: int) -> None:
    assert re.match(rf"process {rank} of {size} lost the others \(.+\); the one that", line)
    assert len(line.splitlines()) == 1


def test_the_first_process_is_killed_amidst_the_work(three: Group) -> None:
    assert three.codes == [-signal.SIGKILL, 3, 3]
    for rank in (1, 2):
        assert_lost(three.reports[rank]["end"], rank, 3)


def test_another_process_has_an_error_amidst_the_work(tmp_path: Path) -> None:
    group = run_group(2, "raises 1", tmp_path)
    assert_lost(group.reports[0]["end"], 0, 2)
    assert group.reports[1]["end"] == "this process has its own reason"
    assert group.codes == [3, 3]


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes differ"), ValueError("x"), VAAError("y"), KeyboardInterrupt()]
)
def test_errors_of_the_work_itself_stay_what_they_are(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ignore(*args: object, **named: object) -> None:
        pass

    monkeypatch.setattr("torch.distributed.init_process_group", ignore)
    monkeypatch.setattr("torch.distributed.destroy_process_group", ignore)
    with pytest.raises(type(error)) as caught, ProcessGroup(0, 2, 0, 2).connected():
        raise error
    assert caught.value is error


# Without processes


@PROPERTY
@given(size=st.integers(1, 12), count=st.integers(0, 200))
def test_shares_deal_out_everything_once(size: int, count: int) -> None:
    shares = [list(ProcessGroup(rank, size).shard(count)) for rank in range(size)]
    assert sorted(item for share in shares for item in share) == list(range(count))
    for share in shares:
        assert share == sorted(share)
    lengths = [len(share) for share in shares]
    assert max(lengths) - min(lengths) <= 1
    # In turns: the n-th of each process, process after process, gives the items in order.
    turns = [share[n] for n in range(max(lengths)) for share in shares if n < len(share)]
    assert turns == list(range(count))


def test_a_world_of_one_needs_nothing() -> None:
    group = ProcessGroup()
    assert group == ProcessGroup(0, 1, 0, 1) and group.is_main
    rows, module = torch.arange(6).reshape(3, 2), Buffered(4)
    with group.connected():
        assert not torch.distributed.is_initialized()
        assert list(group.shard(3)) == [0, 1, 2]
        assert group.all_reduce(rows) is rows
        assert torch.equal(group.all_gather(rows, 3), torch.arange(6).reshape(3, 2))
        assert group.all_gather_texts("caf\udce9") == ["caf\udce9"]
        assert group.broadcast_text("日") == "日"
        assert group.any(True) is True and group.any(False) is False
        group.average_buffers([module])
    assert module.found() == Buffered(4).found()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment in which torchrun has said nothing."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_a_group_as_torchrun_starts_it(environment: pytest.MonkeyPatch) -> None:
    assert ProcessGroup.from_environment() == ProcessGroup()
    for name, value in zip(VARIABLES, ("5", "8", "1", "4"), strict=True):
        environment.setenv(name, value)
    group = ProcessGroup.from_environment()
    assert (group.rank, group.world_size, group.local_rank, group.local_world_size) == (5, 8, 1, 4)
    assert not group.is_main


@pytest.mark.parametrize("missing", VARIABLES)
def test_a_group_described_in_part_is_none(environment: pytest.MonkeyPatch, missing: str) -> None:
    # A scheduler may set RANK alone for its own ends.
    for name in VARIABLES:
        if name != missing:
            environment.setenv(name, "2")
    assert ProcessGroup.from_environment() == ProcessGroup()


@pytest.mark.parametrize("name", VARIABLES)
@pytest.mark.parametrize("value", ["", "first", "1.5", "0x1"])
def test_a_group_described_without_numbers(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    for other in VARIABLES:
        environment.setenv(other, "1")
    environment.setenv(name, value)
    with pytest.raises(VAAError) as caught:
        ProcessGroup.from_environment()
    message = str(caught.value)
    assert name in message and repr(value) in message
    assert len(message.splitlines()) == 1
