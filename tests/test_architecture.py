"""The house: which rooms import which, how long files and functions are, and what loads what."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import vaa_cli

PACKAGE = Path(vaa_cli.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
_LONGEST_FILE, _LONGEST_FUNCTION = 400, 60

# The rooms that each room may import beside itself. Every room may import `errors`.
ARROWS = {
    "errors": set[str](),
    "system": set[str](),
    "labels": {"system"},
    "models": {"system"},
    "runs": {"system"},
    "images": {"labels", "system"},
    "engines": {"models", "images", "system"},
    "datasets": {"images", "labels", "system"},
    "prediction": {"engines", "runs", "models", "images", "labels", "system"},
    "evaluation": {
        "prediction", "engines", "datasets", "runs", "models", "images", "labels", "system"
    },
    "training": {"evaluation", "datasets", "runs", "models", "images", "labels", "system"},
    "reports": {"evaluation", "prediction", "runs", "models", "images", "labels", "system"},
}  # fmt: skip
ROOMS = set(ARROWS)


def room_of(module: str) -> str:
    """The room that a module of the package lies in: `vaa_cli.core.images.check` in `images`."""
    parts = module.split(".")
    if len(parts) == 1:
        return "api"
    return parts[2] if parts[1] == "core" and len(parts) > 2 else parts[1]


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path: Path) -> Iterator[str]:
    """The modules of the package that a file imports, wherever in it that stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports name their module in full"
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names]
            names = [name if is_module(name) else module for name in names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == PACKAGE.name)


def is_module(name: str) -> bool:
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


@cache
def arrows() -> dict[str, set[str]]:
    """The modules that each module imports."""
    return {module_name(path): set(imported_modules(path)) for path in SOURCES}


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_room_imports_the_rooms_that_it_may(room: str) -> None:
    allowed = ARROWS[room] | {room, "errors"}
    wrong = [
        f"{module} imports {other}"
        for module, others in arrows().items()
        if room_of(module) == room
        for other in sorted(others)
        if room_of(other) not in allowed
    ]
    assert not wrong


def test_only_the_app_imports_commands() -> None:
    wrong = [
        f"{module} imports {other}"
        for module, others in arrows().items()
        if room_of(module) not in ("app", "commands")
        for other in sorted(others)
        if room_of(other) in ("commands", "app")
    ]
    assert wrong == ["vaa_cli.__main__ imports vaa_cli.app"]


def test_every_room_is_known() -> None:
    rooms = {room_of(module) for module in arrows()}
    assert rooms == ROOMS | {"api", "app", "commands", "core", "__main__"}


def test_no_module_imports_itself_by_way_of_others() -> None:
    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path, module))
        if module in done:
            return
        for other in sorted(arrows().get(module, ())):
            visit(other, (*path, module))
        done.add(module)

    done: set[str] = set()
    for module in arrows():
        visit(module, ())


def test_a_room_begins_with_a_sentence() -> None:
    for path in SOURCES:
        if path.name == "__init__.py" and path.parent != PACKAGE:
            (only,) = ast.parse(path.read_text()).body
            assert isinstance(only, ast.Expr) and isinstance(only.value, ast.Constant), path


def test_files_and_functions_are_short() -> None:
    long = []
    for path in SOURCES:
        text = path.read_text()
        lines = text.count("\n")
        if lines > _LONGEST_FILE:
            long.append(f"{path}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > _LONGEST_FUNCTION:
                    long.append(f"{path}: {node.name} has {length} lines")
    assert not long


def loaded_by(code: str) -> set[str]:
    """The top-level packages that a fresh interpreter has loaded after some code."""
    code += "\nimport sys; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


def test_decoding_processes_load_neither_torch_nor_pandas() -> None:
    loaded = loaded_by(
        "from vaa_cli.core.images.decoding_pool import _MODULES\n"
        "for module in _MODULES: __import__(module)"
    )
    assert "vaa_cli" in loaded
    assert not loaded & {"torch", "torchvision", "pandas", "scipy", "pydantic"}


def test_processes_that_check_and_crop_do_not_load_torch() -> None:
    loaded = loaded_by(
        "from vaa_cli.core.datasets.pipeline import MODULES\n"
        "for module in ('vaa_cli.__main__', *MODULES): __import__(module)"
    )
    assert not loaded & {"torch", "torchvision"}


def test_the_api_and_help_load_no_heavy_package() -> None:
    loaded = loaded_by("import vaa_cli, vaa_cli.app")
    assert not loaded & {"torch", "torchvision", "pandas", "numpy", "pydantic", "safetensors"}
