"""Text that cannot steer a terminal: every control character, escape and direction mark becomes something visible.

`printable` is for screens and errors, `json_printable` for JSON. All that the program prints goes through one of them.

Not here: where it is printed (`cli.terminal`), Markdown (`reports.markdown`).
"""

from __future__ import annotations


def printable(text: str, *, keep_lines: bool = False) -> str:
    """Text in which every character that is not printable becomes a blank.

    These are control characters (C0 and C1, and so every escape sequence), marks that reverse the direction of
    writing, characters without width, and halves of characters that no encoding holds.

    Args:
        text: any text.
        keep_lines: whether line ends stay.
    """
    return "".join(char if char.isprintable() or (keep_lines and char == "\n") else " " for char in text)


def json_printable(document: str) -> str:
    r"""A JSON document with every character that is not printable as an escape, `\u009b`; its line ends stay."""
    return "".join(char if char.isprintable() or char == "\n" else _escaped(char) for char in document)


def _escaped(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[index : index + 2].hex()}" for index in range(0, len(units), 2))
