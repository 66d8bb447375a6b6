"""The errors that a person can do something about."""

import reprlib


class VAAError(Exception):
    """A wrong request or broken input.

    The message is one line: what was found, where, and what to do. Advice to change an option names
    it as Python does, between backquotes, such as `workers=0`; the command line prints its own
    spelling instead, such as `workers=0`.

    Example:
        >>> import vaa_cli as vaa
        >>> try:
        ...     vaa.read_prepared("nowhere")
        ... except vaa.VAAError as error:
        ...     print(error)
        nowhere is not a prepared folder (no dataset.json); make one with: vaa prepare DATASET_DIR nowhere
    """  # noqa: E501


class PictureError(VAAError):
    """A picture that cannot be used, and why; the message does not name the file."""


class ResumableError(VAAError):
    """A file of a training cannot be written, and the training can be resumed from the last one."""


def one_line(error: Exception, longest: int = 200) -> str:
    """The message of another library's error as one line of at most `longest` characters."""
    return " ".join(str(error).split())[:longest] or type(error).__name__


def brief(value: object) -> str:
    """The representation of a value, shortened where it is long or nested deep."""
    return reprlib.repr(value)


def printable(text: str) -> str:
    """A text in which no character can end the line or control the terminal."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )
