"""No code path unpickles anything that comes from a file: such a file could run any program."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import vaa_cli

SOURCES = sorted(Path(vaa_cli.__file__).parent.rglob("*.py"))
UNPICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def calls(tree: ast.AST) -> Iterator[tuple[str, dict[str, str]]]:
    """What is called in a module, as it is written there, and with which named arguments."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            named = {word.arg: ast.unparse(word.value) for word in node.keywords if word.arg}
            yield ast.unparse(node.func), named


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_nothing_is_unpickled(source: Path) -> None:
    tree = ast.parse(source.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert not UNPICKLERS & {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in UNPICKLERS
    for function, named in calls(tree):
        name = function.split(".")[-1]
        assert name not in ("read_pickle", "unsafe_load", "full_load", "full_load_all"), function
        assert named.get("allow_pickle", "False") == "False"
        if function == "torch.load" or name == "load_state_dict_from_url":
            assert named.get("weights_only") == "True", function
        if function in ("np.load", "numpy.load", "np.fromfile"):
            assert named.get("allow_pickle") == "False", function
        if function in ("yaml.load", "yaml.load_all"):
            assert named.get("Loader") == "_TextLoader", function


def test_the_calls_that_matter_are_seen() -> None:
    """Were a loader renamed, the test above would pass without looking at anything."""
    seen = {function for path in SOURCES for function, _ in calls(ast.parse(path.read_text()))}
    assert {"torch.load", "torch.hub.load_state_dict_from_url", "yaml.load"} <= seen
