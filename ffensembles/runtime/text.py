"""How messages, tables and captions say things in words."""

from collections.abc import Iterable, Sequence
from html import escape

_STYLE = """\
body { font: 15px/1.5 system-ui, sans-serif; margin: 1.5em; color: #222; max-width: 75em }
table { border-collapse: collapse; border-top: 2px solid; border-bottom: 2px solid }
th { border-bottom: 1px solid; text-align: left } th, td { padding: .3em .9em }
tr:nth-child(even) { background: #f4f4f4 } p { color: #555; max-width: 45em }"""


def plural(count: int, noun: str) -> str:
    """Count things.

    Examples
    --------
    >>> plural(1, "unit"), plural(12000, "run")
    ('1 unit', '12,000 runs')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def listed(names: Iterable[str]) -> str:
    """Join names as one says them.

    Examples
    --------
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    *most, last = list(names) or ["none"]
    return f"{', '.join(most)} and {last}" if most else last


def printable(text: str) -> str:
    r"""Write control characters as escapes, so that a terminal shows them and obeys none.

    Examples
    --------
    >>> print(printable("red: \x1b[31m"))
    red: \x1b[31m
    """
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


def html_table(title: str, rows: Sequence[Sequence[object]], note: str) -> str:
    """Return a page of HTML with one table; it needs no other file.

    Parameters
    ----------
    title
        What stands above the table.
    rows
        Its cells, row by row; the first row is the head.
    note
        What stands below it.

    Examples
    --------
    >>> print(html_table("A", [["x"], ["<1"]], "b").splitlines()[-4])
    <tr><td>&lt;1</td></tr>
    """

    def row(cells: Sequence[object], tag: str) -> str:
        texts = "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells)
        return f"<tr>{texts}</tr>"

    head, *body = rows
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
            f"<style>\n{_STYLE}\n</style></head><body>",
            f"<h3>{escape(title)}</h3>",
            f"<table>\n<thead>{row(head, 'th')}</thead>\n<tbody>",
            *(row(cells, "td") for cells in body),
            "</tbody></table>",
            f"<p>{escape(note)}</p>",
            "</body></html>\n",
        ]
    )
