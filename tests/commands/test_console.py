"""Messages of core as the command line prints them."""

import logging

import pytest

from tests.helpers.command import captured_streams
from vaa_cli.commands import console


@pytest.mark.parametrize(
    ("message", "printed"),
    [
        ("try fewer `workers`, or 0", "try fewer --workers, or 0"),
        ("try `batch_size=8`, or `accumulate=2`", "try --batch-size 8, or --accumulate 2"),
        ("`weights=FILE` or `weights=none`", "--weights FILE or --weights none"),
        ("`format` 'x': no such format", "--format 'x': no such format"),
        ("nothing to change in a.jpg", "nothing to change in a.jpg"),
        ("`Not an option`", "`Not an option`"),
    ],
)
def test_options_are_printed_as_they_are_typed(message: str, printed: str) -> None:
    assert console.with_switches(message) == printed


def test_what_core_logs_is_printed_on_stderr_in_one_line() -> None:
    logger = logging.getLogger("vaa_cli")
    before = logger.handlers, logger.level, logger.propagate
    try:
        with captured_streams(None) as read:
            console.start_console()
            logging.getLogger("vaa_cli.core.x").info("read %s; `format` chooses", "a\nb")
            logging.getLogger("vaa_cli.core.x").warning("%s: [bold]broken", "a.jpg")
            out, err = read()
    finally:
        logger.handlers, logger.propagate = before[0], before[2]
        logger.setLevel(before[1])
    assert out == ""
    assert err == "read a\\nb; --format chooses\nwarning: a.jpg: [bold]broken\n"
