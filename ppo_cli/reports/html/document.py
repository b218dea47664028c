"""What all HTML pages share: one file that loads nothing and runs one script of its own, whatever text it holds.

What a model or a user wrote is hostile here. A page carries it twice at most: as escaped text, and in a JSON island
whose `<`, `>` and `&` are escaped, from which the script makes text nodes. A content-security policy allows that one
script, by its sha256, and no request at all. The same records give the same bytes.

Not here: what the pages say (`page`, `runs_page`, `rollouts_page`).
"""

from __future__ import annotations

import base64
import hashlib
import json
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

FOLDER = Path(__file__).parent
"""The templates, style sheets and scripts."""
INVISIBLE = ("Cc", "Cf", "Cs", "Co")
"""Unicode categories of characters that control how text is shown and are not seen themselves."""


def document(template: str, scripts: Sequence[str], styles: Sequence[str], island: object, **values: Any) -> str:  # noqa: ANN401
    """A whole HTML file.

    Args:
        template: its file name.
        scripts: files that make up its one script, in order.
        styles: files that make up its style sheet, in order.
        island: the data that the script reads.
        values: what the template names.
    """
    script = "".join(map(_read, scripts))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    text: str = (
        _environment()
        .get_template(template)
        .render(policy=policy, script=script, style="".join(map(_read, styles)), island=json_island(island), **values)
    )
    return text


def json_island(value: object) -> str:
    """JSON that can stand in a script element: ASCII, and nothing that ends or opens one."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def reveal_control_chars(text: object) -> str:
    """Text with its control characters, changes of direction included, in words."""
    return "".join(
        f"[U+{ord(char):04X}]" if unicodedata.category(char) in INVISIBLE and char not in "\n\t" else char
        for char in str(text)
    )


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


@cache
def _environment() -> Any:  # noqa: ANN401 - jinja's environment
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "reveal": reveal_control_chars,
        "fragment": lambda text: quote(text, safe="", errors="replace"),
    }
    return environment
