"""What `vaa prepare --dry-run` prints: the rows as they would be read."""

from typing import TYPE_CHECKING

from vaa_cli.commands.console import say, show_table

if TYPE_CHECKING:
    from vaa_cli.core.datasets.source import Preview

_ROWS = 5


def show_preview(preview: "Preview") -> None:
    """Print the attributes, groups and first rows of a dataset."""
    from vaa_cli.core.labels.table import SPLITS
    from vaa_cli.core.reports.preview_tables import attributes_table, first_rows

    table = preview.table
    pictures = len(table.distinct_images.names)
    say(f"{preview.name}: {len(table):,} rows of {pictures:,} pictures, read as {preview.format}")
    show_table(attributes_table(table))
    show_table(first_rows(table, _ROWS))
    if table.splits is None:
        people = "" if table.identities is None else "; a person stays in one part"
        say(f"no split: pictures would be cut 70/10/20 by a hash of their names{people}")
    else:
        sizes = ", ".join(
            f"{name} {int((table.splits == number).sum()):,}" for number, name in enumerate(SPLITS)
        )
        say(f"the dataset's own split: {sizes}")
    say("nothing was written; the same command without --dry-run prepares it")
