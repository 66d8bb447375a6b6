"""The state of a training as a file: all comes back, and nothing is unpickled."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.command import contents
from vaa_cli.core.errors import VAAError
from vaa_cli.core.training.state_file import read_state, write_state

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
KEYS = st.text(max_size=5) | st.integers() | st.booleans()
NESTED = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(KEYS, inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(state=st.dictionaries(st.text(max_size=5), NESTED, max_size=4))
def test_plain_values_come_back(
    tmp_path_factory: pytest.TempPathFactory, state: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("state") / "a.ckpt"
    write_state(path, state)
    found = read_state(path)
    assert found == state and repr(found) == repr(state)  # 1 is not 1.0, nor True


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int8, torch.bool])
def test_tensors_come_back(tmp_path: Path, dtype: torch.dtype) -> None:
    whole = torch.arange(24).reshape(2, 3, 2, 2).to(dtype)
    state = {
        "plain": whole,
        "channels last": whole.to(memory_format=torch.channels_last),
        "part": whole[:, 1],
        "one": whole[0, 0, 0, 0],
        "none": whole[:0],
        "nested": [{3: (whole, "text")}],
    }
    write_state(tmp_path / "a.ckpt", state)
    found = read_state(tmp_path / "a.ckpt")
    for name in ("plain", "channels last", "part", "one", "none"):
        assert found[name].dtype == dtype and torch.equal(found[name], state[name])  # type: ignore[arg-type]
    assert torch.equal(found["nested"][0][3][0], whole) and found["nested"][0][3][1] == "text"
    assert contents(tmp_path) == ["a.ckpt"]


def test_what_is_neither_tensor_nor_plain_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="Path"):
        write_state(tmp_path / "a.ckpt", {"path": tmp_path})
    assert contents(tmp_path) == []


class Harm:
    """An object whose unpickling would make a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return open, ("harm", "w")


@pytest.mark.parametrize("kind", ["empty", "text", "pickle", "torch", "foreign"])
def test_what_is_no_state_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.ckpt"
    if kind == "torch":
        torch.save({"harm": Harm()}, path)
    else:
        content = {"empty": b"", "text": b"hello", "pickle": pickle.dumps(Harm())}
        path.write_bytes(content.get(kind, b"\2\0\0\0\0\0\0\0{}"))
    with pytest.raises(VAAError, match="is not the state of a training"):
        read_state(path)
    assert contents(tmp_path) == ["a.ckpt"]
