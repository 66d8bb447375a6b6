"""Predicting on Ray: the rows of the plain command, whatever happens to a node."""

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.command import newest_model, run_vaa
from tests.helpers.pictures import plain
from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.inputs import find_inputs
from vaa_cli.core.images.requests import ImageSource
from vaa_cli.core.prediction.predictor import Prediction, Predictor, open_predictor

pytest.importorskip("ray")


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    """Pictures of different colours, with a broken one and a missing one among them."""
    rng = np.random.default_rng(0)
    names = []
    for number in range(400):
        path = tmp_path / f"{number:04d}.png"
        names.append(str(path))
        if number == 123:
            path.write_bytes(b"none")
        elif number != 321:
            plain(tuple(rng.integers(0, 256, 3).tolist()), (32, 64)).save(path)
    return names


def predictor_of(workspace: Path) -> Predictor:
    return open_predictor(
        newest_model(workspace), engine="torch", precision="fp32", batch_size=8, workers=1
    )


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A cluster of one node, with one core."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "object_store_memory": 200 << 20},
    )
    yield cluster
    cluster.shutdown()  # type: ignore[no-untyped-call]


def free_port() -> int:
    """A port that nothing listens at, outside those that Ray's workers take."""
    while True:
        port = random.randrange(21_000, 31_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


def wait_for(port: int, seconds: float = 60.0) -> None:
    """Wait until something listens at a port."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise AssertionError(f"nothing listens at {port}")


def require_same(found: list[Prediction], expected: list[Prediction]) -> None:
    assert [one.request.path for one in found] == [one.request.path for one in expected]
    assert [one.problem for one in found] == [one.problem for one in expected]
    for one, other in zip(found, expected, strict=True):
        if other.probabilities is not None:
            assert one.probabilities is not None
            np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-6)


@pytest.mark.slow
def test_no_row_is_lost_with_a_node(workspace: Path, pictures: list[str], cluster: Any) -> None:
    from vaa_cli.core.prediction.ray_cluster import ray_cluster
    from vaa_cli.core.prediction.ray_predictions import predict_on_ray

    predictor = predictor_of(workspace)
    expected = list(predictor.predict(source.request() for source in map(ImageSource, pictures)))
    node = cluster.add_node(num_cpus=1, object_store_memory=200 << 20)
    found = []
    with ray_cluster(cluster.address) as ray:
        for prediction in predict_on_ray(ray, predictor, map(ImageSource, pictures)):
            found.append(prediction)
            if len(found) == len(pictures) // 2:
                cluster.remove_node(node, allow_graceful=False)
    require_same(found, expected)
    problems = {Path(one.request.path).stem: one.problem for one in found if one.problem}
    assert problems == {"0123": "not a picture", "0321": "no such file"}


def test_the_command_writes_the_same_rows(workspace: Path, pictures: list[str]) -> None:
    folder = Path(pictures[0]).parent
    names = "".join(f"{Path(name).name}\n" for name in pictures)
    options = ("--run", newest_model(workspace), "--engine", "torch", "--precision", "fp32")
    more = ("--batch-size", "8", "--workers", "1")
    here = run_vaa("predict", "-", *options, *more, cwd=folder, stdin=names)
    there = run_vaa("predict", "-", *options, *more, "--on", "ray", cwd=folder, stdin=names)
    assert (here.code, there.code) == (1, 1)
    assert there.out == here.out
    assert "2 of 400 pictures could not be read" in there.err
    assert "Traceback" not in there.err and len(there.err.splitlines()) <= 3


@pytest.mark.slow
def test_archives_and_urls_go_to_the_cluster(
    workspace: Path, pictures: list[str], tmp_path: Path, cluster: Any
) -> None:
    import tarfile

    from vaa_cli.core.prediction.ray_cluster import ray_cluster
    from vaa_cli.core.prediction.ray_predictions import predict_on_ray

    archive = tmp_path / "people.tar"
    with tarfile.open(archive, "w") as packed:
        for name in pictures[:20]:
            packed.add(name, Path(name).name)
    names = [str(archive), f"file://{pictures[0]}"]
    predictor = predictor_of(workspace)
    with ray_cluster(cluster.address) as ray:
        found = list(predict_on_ray(ray, predictor, find_inputs(names, iter(())).sources))  # type: ignore[arg-type]
    plain_rows = list(predictor.predict(ImageSource(name).request() for name in pictures[:20]))
    expected = np.stack([one.probabilities for one in [*plain_rows, plain_rows[0]]])  # type: ignore[misc]
    rows = np.stack([one.probabilities for one in found])  # type: ignore[misc]
    np.testing.assert_allclose(rows, expected, atol=1e-6)
    assert found[0].request.path == f"{archive}/0000.png"


@pytest.mark.slow
def test_a_client_of_a_cluster_gets_the_same_rows(workspace: Path, pictures: list[str]) -> None:
    """Of a cluster that was started as people start one; Ray gives it a token of the user's."""
    port, client_port = free_port(), free_port()
    names = "".join(f"{name}\n" for name in pictures)
    options = ("--run", newest_model(workspace), "--engine", "torch", "--precision", "fp32")
    here = run_vaa("predict", "-", *options, cwd=workspace, stdin=names)
    ray = str(Path(sys.executable).with_name("ray"))
    start = (ray, "start", "--head", f"--port={port}", f"--ray-client-server-port={client_port}")
    more = ("--num-cpus=2", "--include-dashboard=false", "--block", "--disable-usage-stats")
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}
    with subprocess.Popen(
        [*start, *more], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as cluster:
        try:
            wait_for(client_port)
            command = [sys.executable, "-m", "vaa_cli", "predict", "-", *map(str, options)]
            there = subprocess.run(
                [*command, "--on", f"ray://127.0.0.1:{client_port}"],
                input=names, env=environment, capture_output=True, text=True, check=False,
            )  # fmt: skip
        finally:
            cluster.terminate()
    assert there.returncode == 1, there.stderr
    assert there.stdout == here.out


def test_what_a_server_of_ray_says_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    from vaa_cli.core.prediction.ray_cluster import ray_cluster

    def refused(*_: Any, **__: Any) -> None:
        raise ConnectionAbortedError(
            "Initialization failure from server:\nTraceback (most recent call last):\n"
            '  File "a.py", line 3, in start\nRuntimeError: the server did not start\n\n'
        )

    monkeypatch.setattr(ray, "init", refused)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"ray://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(VAAError) as caught, ray_cluster(address):
            pass
    assert str(caught.value) == (
        f"no Ray cluster at {address}: RuntimeError: the server did not start"
    )


@pytest.mark.slow
def test_what_fails_in_an_actor_is_one_line(pictures: list[str], cluster: Any) -> None:
    from vaa_cli.core.prediction.ray_cluster import ray_cluster
    from vaa_cli.core.prediction.ray_predictions import predict_on_ray

    predictor = open_predictor("starter", engine="torch", device="cuda:7", workers=1)
    with (
        ray_cluster(cluster.address) as ray,
        pytest.raises(VAAError, match=r"^on Ray: .*cuda:7") as error,
    ):
        list(predict_on_ray(ray, predictor, map(ImageSource, pictures)))
    assert "\n" not in str(error.value)


def test_no_cluster_is_one_line(workspace: Path, tmp_path: Path) -> None:
    plain().save(tmp_path / "a.png")
    model = newest_model(workspace)
    refused = run_vaa("predict", "a.png", "--run", model, "--on", "nonsense", cwd=tmp_path)
    assert refused.code == 2
    assert "--on nonsense is no cluster; write ray, or an address as ray://head" in refused.err
