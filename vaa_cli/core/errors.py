"""The one error that a person at the terminal can do something about."""


class VAAError(Exception):
    """A wrong request or broken input, told in one line: what was found, where, what to do."""
