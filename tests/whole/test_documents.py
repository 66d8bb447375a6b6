"""README and docs: their command lines exist, their examples run, their links lead somewhere."""

import doctest
import importlib
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import typer.main
from torchvision.models import get_model, get_model_weights

import vaa_cli as vaa
from tests.helpers.command import ROOT, run_vaa, working_folder
from tests.helpers.figures import draw_figure, make_dataset
from vaa_cli.app import app
from vaa_cli.core.engines import formats

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
WALK_THROUGH = "<!-- walk-through -->"


def command_lines(document: Path) -> Iterator[tuple[int, list[str]]]:
    """The `vaa …` lines in code blocks and in inline code, with their numbers."""
    for number, line in enumerate(document.read_text().splitlines(), start=1):
        candidates = re.findall(r"`([^`]*)`", line)
        if line.startswith("    "):
            candidates.append(line)
        for candidate in candidates:
            if match := re.search(r"(?:^|\s)(?:vaa|-m -- vaa_cli) (.*)", candidate.strip()):
                text = re.split(r"\s#\s|\s{2,}#|\s>\s|…|\s\|\s", match[1])[0]
                yield number, shlex.split(text.rstrip("\\ "))


def commands() -> dict[str, Any]:
    group: Any = typer.main.get_command(app)
    found: dict[str, Any] = group.commands
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_command_lines_exist(document: Path) -> None:
    for number, (name, *words) in command_lines(document):
        if name.startswith("-") or name == "COMMAND":
            continue
        place = f"{document.name}:{number}: vaa {name}"
        assert name in commands(), place
        switches = {
            switch
            for parameter in commands()[name].params
            for switch in (*parameter.opts, *parameter.secondary_opts)
        } | {"--help", "--debug"}
        for word in words:
            if word.startswith("-") and word != "-":
                assert word.split("=")[0] in switches, f"{place}: {word}"


def test_there_are_command_lines_to_check() -> None:
    assert sum(len(list(command_lines(document))) for document in DOCUMENTS) > 40


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]*)(?:#[^)]*)?\)", document.read_text()):
        if target and not target.startswith("http"):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


@pytest.fixture(scope="module")
def examples(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the examples of docs/python.md and of docstrings run in."""
    folder = tmp_path_factory.mktemp("examples")
    make_dataset(folder / "people", count=20)
    shutil.copytree(workspace / "prepared", folder / "prepared")
    (folder / "dataset").symlink_to(workspace / "dataset")
    shutil.copytree((workspace / "runs" / "latest").resolve(), folder / "runs" / "people")
    draw_figure(0, red=True, hat=True, striped=False).save(folder / "photo.png")
    return folder


FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def test_the_examples_of_the_python_page_run(examples: Path) -> None:
    with working_folder(examples):
        result = doctest.testfile(
            str(ROOT / "docs" / "python.md"), module_relative=False, optionflags=FLAGS
        )
    assert result.attempted > 15
    assert result.failed == 0


@pytest.mark.parametrize(
    "module",
    [
        "vaa_cli",
        *sorted(set(vaa._MODULES.values())),
        "vaa_cli.core.models.inference",
        "vaa_cli.core.system.distributed",
    ],
)
def test_the_examples_of_docstrings_run(examples: Path, module: str) -> None:
    for name in ("first", "prepared-people"):
        shutil.rmtree(examples / "runs" / name, ignore_errors=True)
    with working_folder(examples):
        result = doctest.testmod(importlib.import_module(module), optionflags=FLAGS)
    assert result.attempted > 0
    assert result.failed == 0


def test_every_name_of_the_api_has_an_example() -> None:
    for name in vaa.__all__:
        assert ">>>" in (getattr(vaa, name).__doc__ or ""), name


def test_the_walk_through_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its commands, word by word, on pictures of one's own; the weights stand in torch's cache."""
    # As without the extra openvino, which would convert the model, and again once calibrated.
    monkeypatch.setattr(formats, "find_spec", lambda package: None)
    make_dataset(tmp_path / "photos", count=16, split=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    cache = tmp_path / "torch" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    weights = Path(get_model_weights("resnet18").DEFAULT.url).name
    torch.manual_seed(0)
    torch.save(get_model("resnet18", weights=None).state_dict(), cache / weights)
    block = (ROOT / "README.md").read_text().split(WALK_THROUGH)[1].strip("\n").split("\n\n")[0]
    lines = [line.strip() for line in block.splitlines()]
    assert [line.split()[1] for line in lines] == [
        "prepare", "train", "evaluate", "explain", "predict"
    ]  # fmt: skip
    for line in lines:
        command, *target = line.split(" > ")
        outcome = run_vaa(*command.split()[1:], cwd=tmp_path)
        assert outcome.code == 0, (line, outcome.err)
        if target:
            (tmp_path / target[0]).write_text(outcome.out)
    assert (tmp_path / "report" / "index.html").stat().st_size > 10_000
    assert len(list((tmp_path / "explained").iterdir())) == 16
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 17
