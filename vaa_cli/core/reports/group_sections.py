"""The exclusive groups of a report: what each one's words are taken for."""

from collections.abc import Iterator

from vaa_cli.core.reports import html
from vaa_cli.core.reports.html import figure, text
from vaa_cli.core.reports.page_content import PageContent


def exclusive_groups(content: PageContent) -> Iterator[str]:
    """The accuracy of each group, and its confusion matrix."""
    for group in content.groups:
        rows = [
            [text(group.words[k]), *(f"{count:,}" for count in group.confusion[k].tolist())]
            for k in group.true_words
        ]
        yield html.table(
            f"{group.name}: accuracy {figure(group.accuracy)} of {group.rows:,} pictures; rows are "
            "true, columns are decided",
            [group.name, *group.words],
            rows,
        )
