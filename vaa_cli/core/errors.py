"""The errors that a person at the terminal can do something about."""


class VAAError(Exception):
    """A wrong request or broken input, told in one line: what was found, where, what to do."""


class PictureError(VAAError):
    """A picture that cannot be used, and why; the message does not name the file."""


def one_line(error: Exception, longest: int = 200) -> str:
    """What another library's error says, in one line of so many characters at the most."""
    return " ".join(str(error).split())[:longest] or type(error).__name__


def printable(text: str) -> str:
    """A text of which a file's name, say, can neither end the line nor colour the terminal."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )
