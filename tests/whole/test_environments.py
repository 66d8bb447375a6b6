"""Processes without a home, with a closed or narrow stdout, and files that mean harm."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.command import (
    QUICK,
    TORCH_FP32,
    assert_one_line_error,
    contents,
    newest_model,
    read_rows,
    run_process,
    run_vaa,
)
from tests.helpers.figures import make_dataset

SHELL = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")


def in_shell(
    redirection: str, *arguments: str | Path, cwd: Path
) -> subprocess.CompletedProcess[str]:
    """The real `vaa`, with some of its streams redirected or closed."""
    command = " ".join([sys.executable, "-m", "vaa_cli", *map(str, arguments), redirection])
    return subprocess.run(
        command, shell=True, cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )


@SHELL
def test_a_closed_stdout(workspace: Path, tmp_path: Path) -> None:
    make_dataset(tmp_path / "dataset", 12)
    done = in_shell(">&-", "prepare", "dataset", cwd=tmp_path)
    assert done.returncode == 0 and "wrote prepared" in done.stderr
    model = newest_model(workspace)
    done = in_shell(">&-", "predict", "dataset/images", "--run", model, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        2, "error: stdout is closed; name a file with --out\n",
    )  # fmt: skip
    out = ("--out", "out.csv", *TORCH_FP32)
    done = in_shell(">&- 2>&- <&-", "predict", "dataset/images", "--run", model, *out, cwd=tmp_path)
    assert done.returncode == 0
    assert len(read_rows((tmp_path / "out.csv").read_text())) == 12


def test_an_output_with_another_encoding(workspace: Path, tmp_path: Path) -> None:
    name = "写真 é.png"
    shutil.copy(workspace / "dataset" / "images" / "000.png", tmp_path / name)
    command = ("predict", name, "--run", newest_model(workspace), *TORCH_FP32)
    environment = {"PYTHONIOENCODING": "cp1252"}
    done = run_process(*command, "--pretty", cwd=tmp_path, environment=environment)
    assert done.code == 0 and "\\u5199\\u771f" in done.out
    done = run_process(*command, cwd=tmp_path, environment=environment)
    assert done.code == 0 and name in done.out  # data is UTF-8 all the same


@pytest.mark.skipif(
    os.name != "posix" or not hasattr(os, "geteuid") or os.geteuid() != 0,
    reason="only root can be a user without a name",
)
def test_a_user_without_a_name_and_a_home(workspace: Path, tmp_path: Path) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    folder = tmp_path
    while folder != Path("/tmp") and folder != folder.parent:
        folder.chmod(0o755)
        folder = folder.parent
    (tmp_path / "w").mkdir(mode=0o777)
    (tmp_path / "w").chmod(0o777)
    shutil.copy(newest_model(workspace), tmp_path / "w")
    shutil.copytree(workspace / "dataset", tmp_path / "w" / "dataset")
    as_nobody = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"]
    hidden = {"HOME", "USER", "LOGNAME", "XDG_CACHE_HOME", "VAA_CACHE", "TMPDIR"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    for command in (
        ("prepare", "dataset", "--shards"),
        ("train", *QUICK, "--epochs", "1", "--no-calibrate"),
        ("predict", "dataset/images/000.png", "--run", "best.safetensors", "--workers", "0"),
    ):
        done = subprocess.run(
            [*as_nobody, sys.executable, "-m", "vaa_cli", *command],
            cwd=tmp_path / "w", env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if "Permission denied" in done.stderr and "vaa_cli" not in done.stderr:
            pytest.skip("such a user cannot read the interpreter here")
        assert "Traceback" not in done.stderr
        assert done.returncode == 0, done.stderr
    assert len(read_rows(done.stdout)) == 1


# Files that mean harm


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("harm")
    make_dataset(path / "dataset", 12)
    assert run_vaa("prepare", "dataset", cwd=path).code == 0
    return path


def test_a_yaml_file_that_stands_for_a_billion_names(folder: Path) -> None:
    text, name = "&a [x, x, x, x, x, x, x, x, x, x]", "a"
    for following in "bcdefghi":
        text, name = f"&{following} [{text}{f', *{name}' * 9}]", following
    (folder / "bomb.yaml").write_text(f"- {text}\n")
    done = run_vaa("prepare", "dataset", "p", "--attributes", "bomb.yaml", cwd=folder)
    assert_one_line_error(done, "bomb.yaml is not YAML", "reference")
    assert len(done.err) < 1000


@pytest.mark.parametrize("kind", ["toml", "set", "json", "yaml"])
def test_deep_nesting(folder: Path, kind: str, tmp_path: Path) -> None:
    deep = tmp_path / f"deep.{kind}"
    deep.write_text(("x = " if kind == "toml" else "") + "[" * 20_000)
    commands: dict[str, tuple[str | Path, ...]] = {
        "toml": ("train", "--config", deep),
        "set": ("train", "--set", f"hidden={'[' * 3000}"),
        "json": ("prepare", "dataset", "p", "--attributes", deep),
        "yaml": ("prepare", "dataset", "p", "--attributes", deep),
    }
    done = run_vaa(*commands[kind], cwd=folder)
    assert_one_line_error(done)
    assert len(done.err) < 1000


def test_a_description_that_is_nested_deep(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "prepared", tmp_path / "prepared")
    (tmp_path / "prepared" / "dataset.json").write_text("[" * 200_000)
    done = run_vaa("train", cwd=tmp_path)
    assert_one_line_error(done, "dataset.json is broken")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipes_in_the_place_of_settings(folder: Path, tmp_path: Path) -> None:
    for name in ("a.yaml", "a.toml"):
        os.mkfifo(tmp_path / name)
    done = run_vaa("prepare", "dataset", "p", "--attributes", tmp_path / "a.yaml", cwd=folder)
    assert_one_line_error(done, "is not a file but a pipe")
    done = run_vaa("train", "--config", tmp_path / "a.toml", cwd=folder)
    assert_one_line_error(done, "is not a file but a pipe")


def test_a_byte_order_mark_before_options(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("\ufeffbackbone = 'resnet0'\n", encoding="utf-8")
    done = run_vaa("train", "--config", tmp_path / "a.toml", cwd=folder)
    assert_one_line_error(done, "unknown backbone 'resnet0'")  # so it was read


# Small requests


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (("help",), 0, "Usage: vaa [OPTIONS]"),
        (("help", "predict"), 0, "Usage: vaa predict"),
        (("train", "--weights", "imagenett"), 2, "--weights imagenett: did you mean imagenet?"),
        (("train", "--set", "stages=9"), 2, "--set: stages 9: name some of 2, 3 and 4"),
        (("evaluate", "--data", "a", "--data=b"), 2, "--data is given 2 times (a, b); name one"),
        (("runs",), 0, "no runs in runs"),
        (("runs", "delete", "x", "--yes"), 2, "x: no such run folder"),
        (("runs", "delete", "x"), 2, "--yes"),
    ],
)
def test_small_requests(folder: Path, words: tuple[str, ...], code: int, part: str) -> None:
    done = run_vaa(*words, cwd=folder, stdin="")
    assert done.code == code, done
    assert part in " ".join((done.out + done.err).split())
    assert "prepared" in contents(folder)
