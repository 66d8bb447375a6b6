"""Plain values in a pickle, read by walking its opcodes; nothing named in it is imported or called.

A pickle is a program for a small stack machine, which Python's reader lets import and call
anything. Here, lists, dicts, tuples, text, numbers and NumPy arrays of numbers or text are built,
and all else is an error. The opcodes come from `pickletools.genops`, which only decodes them.
"""

import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vaa_cli.core.errors import VAAError, brief
from vaa_cli.core.system.input_files import read_file

# Bytes of a file, its instructions, and elements of an array.
_LARGEST, _MOST_OPCODES, _MOST_ELEMENTS = 2 << 30, 50_000_000, 200_000_000

_RECONSTRUCT = {
    f"{module}.multiarray _reconstruct" for module in ("numpy.core", "numpy._core", "numpy")
}
_SCALAR = {f"{module}.multiarray scalar" for module in ("numpy.core", "numpy._core", "numpy")}
_FROM_BUFFER = {f"{module}.numeric _frombuffer" for module in ("numpy.core", "numpy._core")}
_NDARRAY, _DTYPE = "numpy ndarray", "numpy dtype"
_DICTS = {"easydict EasyDict", "collections OrderedDict", "__builtin__ dict", "builtins dict"}
_RECONSTRUCTORS = {"copy_reg _reconstructor", "copyreg _reconstructor"}
_ENCODE = "_codecs encode"
_BYTES = {
    f"{module} {kind}" for module in ("builtins", "__builtin__") for kind in ("bytes", "bytearray")
}
_KNOWN = (
    _RECONSTRUCT | _SCALAR | _FROM_BUFFER | _DICTS | _RECONSTRUCTORS
    | _BYTES | {_NDARRAY, _DTYPE, _ENCODE}
)  # fmt: skip
_KINDS = "biufSUO"


class _Mark:
    """Where a list of arguments begins on the stack."""


@dataclass(frozen=True)
class _Name:
    """A class or function that a pickle names; it is only ever compared."""

    name: str


@dataclass
class _Type:
    """A NumPy type, by the text that NumPy has for it."""

    text: str
    order: str = "|"


@dataclass
class _Array:
    """A NumPy array in the making."""

    values: Any = None


class _PickleError(Exception):
    """What stands in a pickle is no plain value."""


def read_values(path: Path) -> Any:
    """The value in a pickle.

    Args:
        path: the file.

    Returns:
        Dicts, lists, tuples, text, bytes, numbers, None, and NumPy arrays of numbers or text.

    Raises:
        VAAError: it cannot be read, is no pickle, or holds anything else.
    """
    content = read_file(path, _LARGEST)
    try:
        return _Machine().run(content)
    # Malformed pickles raise whatever the decoding of their parts does.
    except (
        _PickleError, ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError,
        MemoryError, RecursionError, AssertionError,
    ) as error:  # fmt: skip
        reason = brief(str(error)) if not isinstance(error, _PickleError) else str(error)
        raise VAAError(
            f"{path} is no pickle of plain values ({reason}); nothing in it was run"
        ) from error


class _Machine:
    """The stack machine of pickles, without what imports or calls."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, content: bytes) -> Any:
        """Walk the opcodes to the end."""
        for count, (opcode, argument, _) in enumerate(pickletools.genops(content)):
            if count > _MOST_OPCODES:
                raise _PickleError(f"more than {_MOST_OPCODES:,} instructions")
            name = opcode.name
            if name == "STOP":
                return _finished(self.stack.pop())
            if name in _LITERALS:
                self.stack.append(_LITERALS[name](argument))
            elif name in _HANDLERS:
                _HANDLERS[name](self, argument)
            else:
                raise _PickleError(f"the instruction {name}")
        raise _PickleError("no end")

    def marked(self) -> list[Any]:
        """Take the values down to the last mark."""
        for position in range(len(self.stack) - 1, -1, -1):
            if isinstance(self.stack[position], _Mark):
                values = self.stack[position + 1 :]
                del self.stack[position:]
                return values
        raise _PickleError("values without a beginning")

    def memoize(self, place: int | None) -> None:
        """Remember the value on top."""
        self.memo[len(self.memo) if place is None else place] = self.stack[-1]

    def name(self, text: str) -> None:
        """Put a name on the stack, if it is one of a plain value."""
        if text not in _KNOWN:
            raise _PickleError(f"it names {text.replace(' ', '.')}")
        self.stack.append(_Name(text))

    def stack_name(self) -> None:
        """The same, of two texts on the stack."""
        name, module = self.stack.pop(), self.stack.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise _PickleError("a name that is no text")
        self.name(f"{module} {name}")

    def append(self, values: list[Any]) -> None:
        """Append to the list on top."""
        target = self.stack[-1]
        if not isinstance(target, list):
            raise _PickleError("it appends to what is no list")
        target.extend(values)

    def set_items(self, values: list[Any]) -> None:
        """Set keys and values of the dict on top."""
        target = self.stack[-1]
        if not isinstance(target, dict) or len(values) % 2:
            raise _PickleError("it sets items of what is no dict")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, str | int | float | bytes | bool | tuple | type(None)):
                raise _PickleError("a key that is no text or number")
            target[key] = value

    def build(self) -> None:
        """Complete the array, the type or the dict on top with its state."""
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, _Array):
            target.values = _array_of(state)
        elif isinstance(target, _Type):
            target.order = _order(state)
        elif isinstance(target, dict):
            if not isinstance(state, dict):  # an EasyDict's attributes are its items again
                raise _PickleError("a dict with a state")
        else:
            raise _PickleError("a state of what has none")

    def reduce(self) -> None:
        """Make what a name of NumPy or a dict and its arguments stand for."""
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, _Name) or not isinstance(arguments, tuple):
            raise _PickleError("it calls what is no name")
        self.stack.append(_made(function.name, arguments))


def _made(name: str, arguments: tuple[Any, ...]) -> Any:
    """What a call of one of the known names gives."""
    if name in _RECONSTRUCT:
        return _Array()
    if name == _DTYPE:
        return _Type(_text(arguments[0]))
    if name in _SCALAR:
        kind, content = arguments
        return _numbers(kind, content, 1)[0].item()
    if name in _FROM_BUFFER:
        content, kind, shape, order = arguments
        array = _Array()
        array.values = _shaped(_numbers(kind, content, _size(shape)), shape, order == "F")
        return array
    if name == _ENCODE:
        text, encoding = arguments
        if encoding != "latin1" or not isinstance(text, str):
            raise _PickleError("bytes of an unknown encoding")
        return text.encode("latin1")
    if name in _RECONSTRUCTORS:
        kind, _, state = arguments
        if isinstance(kind, _Name) and kind.name in _DICTS and isinstance(state, dict):
            return dict(state)
        raise _PickleError("an object of an unknown class")
    if name in _DICTS:
        if arguments and not isinstance(arguments[0], dict | list):
            raise _PickleError("a dict of something else")
        return dict(arguments[0]) if arguments else {}
    if name in _BYTES and (not arguments or isinstance(arguments[0], bytes)):
        return arguments[0] if arguments else b""
    raise _PickleError(f"it calls {name.replace(' ', '.')}")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _PickleError("a type that is no text")
    return value


def _order(state: Any) -> str:
    """The order of bytes in a type's state."""
    if not isinstance(state, tuple) or len(state) < 5 or state[1] not in ("<", ">", "|", "="):
        raise _PickleError("a type in an unknown form")
    if any(part is not None for part in state[2:5]):
        raise _PickleError("a type with fields")
    return str(state[1])


def _size(shape: Any) -> int:
    if not isinstance(shape, tuple) or not all(type(side) is int and side >= 0 for side in shape):
        raise _PickleError("an array without a shape")
    size = math.prod(shape)
    if size > _MOST_ELEMENTS or len(shape) > 8:
        raise _PickleError(f"an array that claims {size:,} elements")
    return size


def _array_of(state: Any) -> Any:
    """An array by its state: version, shape, type, whether columns come first, and content."""
    if not isinstance(state, tuple) or len(state) != 5:
        raise _PickleError("an array in an unknown form")
    _, shape, kind, is_columns_first, content = state
    size = _size(shape)
    if isinstance(kind, _Type) and kind.text.lstrip("|<>=").startswith("O"):
        if not isinstance(content, list) or len(content) != size:
            raise _PickleError("an array whose content does not fit its shape")
        values = np.empty(size, dtype=object)
        values[:] = content
        return _shaped(values, shape, bool(is_columns_first))
    return _shaped(_numbers(kind, content, size), shape, bool(is_columns_first))


def _numbers(kind: Any, content: Any, size: int) -> Any:
    """The elements of an array of numbers or text."""
    if not isinstance(kind, _Type):
        raise _PickleError("an array without a type")
    text = kind.text.lstrip("|<>=")
    if not text or text[0] not in _KINDS[:-1] or not text[1:].isdecimal() or len(text) > 6:
        raise _PickleError(f"an array of {brief(kind.text)}")
    found = np.dtype((kind.order if kind.order in "<>" else "<") + text)
    if isinstance(content, str):  # as Python 2 wrote bytes
        content = content.encode("latin1")
    if not isinstance(content, bytes) or len(content) != size * found.itemsize:
        raise _PickleError("an array whose content does not fit its shape")
    return np.frombuffer(content, dtype=found).copy() if size else np.empty(0, dtype=found)


def _shaped(values: Any, shape: tuple[int, ...], is_columns_first: bool) -> Any:
    return values.reshape(shape, order="F" if is_columns_first else "C")


def _finished(value: Any, depth: int = 0, seen: dict[int, Any] | None = None) -> Any:
    """A value with its arrays in place; what is in it several times is made once."""
    seen = {} if seen is None else seen
    if isinstance(value, _Array):
        return value.values
    if isinstance(value, _Name | _Type | _Mark):
        raise _PickleError("a class or function where a value should be")
    if not isinstance(value, list | tuple | dict):
        return value
    if depth > 50:
        raise _PickleError("nested too deep")
    if id(value) in seen:
        return seen[id(value)]
    seen[id(value)] = None  # a value that holds itself ends here
    if isinstance(value, dict):
        made: Any = {key: _finished(item, depth + 1, seen) for key, item in value.items()}
    else:
        made = type(value)(_finished(item, depth + 1, seen) for item in value)
    seen[id(value)] = made
    return made


def _same(argument: Any) -> Any:
    return argument


_LITERALS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(
        (
            "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
            "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING",
            "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
        ),
        _same,
    ),
    "BYTEARRAY8": bytes,
    "NONE": lambda _: None,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    "EMPTY_LIST": lambda _: [],
    "EMPTY_TUPLE": lambda _: (),
    "EMPTY_DICT": lambda _: {},
    "MARK": lambda _: _Mark(),
}  # fmt: skip


def _dict_of(values: list[Any]) -> dict[Any, Any]:
    return dict(zip(values[::2], values[1::2], strict=True))


def _tuple(machine: _Machine, count: int) -> None:
    if len(machine.stack) < count:
        raise _PickleError("too few values")
    values = tuple(machine.stack[-count:])
    del machine.stack[-count:]
    machine.stack.append(values)


_HANDLERS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda machine, argument: None,
    "FRAME": lambda machine, argument: None,
    "POP": lambda machine, argument: machine.stack.__delitem__(-1),
    "POP_MARK": lambda machine, argument: machine.marked().clear(),
    "DUP": lambda machine, argument: machine.stack.append(machine.stack[-1]),
    "PUT": lambda machine, argument: machine.memoize(int(argument)),
    "BINPUT": lambda machine, argument: machine.memoize(int(argument)),
    "LONG_BINPUT": lambda machine, argument: machine.memoize(int(argument)),
    "MEMOIZE": lambda machine, argument: machine.memoize(None),
    "GET": lambda machine, argument: machine.stack.append(machine.memo[int(argument)]),
    "BINGET": lambda machine, argument: machine.stack.append(machine.memo[int(argument)]),
    "LONG_BINGET": lambda machine, argument: machine.stack.append(machine.memo[int(argument)]),
    "LIST": lambda machine, argument: machine.stack.append(machine.marked()),
    "TUPLE": lambda machine, argument: machine.stack.append(tuple(machine.marked())),
    "DICT": lambda machine, argument: machine.stack.append(_dict_of(machine.marked())),
    "TUPLE1": lambda machine, argument: _tuple(machine, 1),
    "TUPLE2": lambda machine, argument: _tuple(machine, 2),
    "TUPLE3": lambda machine, argument: _tuple(machine, 3),
    "APPEND": lambda machine, argument: machine.append([machine.stack.pop()]),
    "APPENDS": lambda machine, argument: machine.append(machine.marked()),
    "SETITEM": lambda machine, argument: machine.set_items(
        [machine.stack.pop(), machine.stack.pop()][::-1]
    ),
    "SETITEMS": lambda machine, argument: machine.set_items(machine.marked()),
    "GLOBAL": lambda machine, argument: machine.name(argument),
    "STACK_GLOBAL": lambda machine, argument: machine.stack_name(),
    "REDUCE": lambda machine, argument: machine.reduce(),
    "NEWOBJ": lambda machine, argument: machine.reduce(),
    "BUILD": lambda machine, argument: machine.build(),
}
