"""The settings of the site that `make docs` builds from docs/ with Sphinx, MyST and furo.

The pages are plain Markdown that a code host shows as well. The navigation is the list in docs/README.md: its headings
and its links. A link to a file outside docs/ is text, or leads to SOURCE_URL where that is set.

Not here: the pages that are made from the code (`reference.py`).
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from docutils import nodes
from pygments.lexers.data import JsonLexer
from pygments.lexers.special import TextLexer
from sphinx.addnodes import download_reference, pending_xref
from sphinx.application import Sphinx

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
SOURCE_URL = os.environ.get("SOURCE_URL", "").rstrip("/")

project = "ppo"
html_title = "ppo"
author = "the authors of ppo-cli"
language = "en"
root_doc = "README"
extensions = ["myst_parser"]
exclude_patterns = ["site", "**.ipynb"]
html_theme = "furo"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_theme_options = {"top_of_page_buttons": []}
html_static_path = ["static"]
html_css_files = ["site.css"]
highlight_language = "text"
myst_heading_anchors = 4
nitpicky = True
suppress_warnings = ["misc.highlighting_failure"]  # a shortened example need not be whole JSON


def navigation(page: str, folder: Path) -> list[tuple[str, list[str]]]:
    """The headings of a list of pages, each with the pages that are linked to below it.

    Args:
        page: the list, in Markdown.
        folder: of the list, below docs/.
    """
    groups: list[tuple[str, list[str]]] = []
    for line in page.splitlines():
        if line.startswith("## "):
            groups.append((line.removeprefix("## "), []))
        for target in re.findall(r"\]\(([^)#:]+\.md)\)", line) if groups else ():
            path = (folder / target).resolve()
            if path.is_relative_to(DOCS):
                name = path.relative_to(DOCS).with_suffix("").as_posix()
                listed = {one for _, names in groups for one in names}
                groups[-1][1].extend([name] if name not in listed else [])
    return [group for group in groups if group[1]]


def setup(app: Sphinx) -> None:
    app.add_lexer("jsonl", JsonLexer)
    app.add_lexer("csv", TextLexer)
    app.connect("source-read", _add_navigation)
    app.connect("doctree-read", _replace_links_outside, priority=100)
    app.connect("build-finished", _write_index)


def _add_navigation(_app: Sphinx, name: str, source: list[str]) -> None:
    if name != root_doc:
        return
    for heading, names in navigation(source[0], DOCS):
        source[0] += (
            f"\n\n```{{toctree}}\n:hidden:\n:caption: {heading}\n\n" + "".join(f"/{one}\n" for one in names) + "```\n"
        )


def _replace_links_outside(_app: Sphinx, doctree: nodes.document) -> None:
    """Replaces links to files of the project outside docs/; one to nothing stays, and is a warning later."""
    page = Path(doctree["source"])
    for link in list(doctree.findall(lambda node: isinstance(node, pending_xref | download_reference))):
        target = str(link["reftarget"]).partition("#")[0]
        path = Path(f"{target}.md") if target.startswith("/") else (page.parent / target).resolve()
        if not target or path.is_relative_to(DOCS) or not path.is_relative_to(ROOT) or not path.exists():
            continue
        address = f"{SOURCE_URL}/{path.relative_to(ROOT).as_posix()}"
        replaced = nodes.reference(refuri=address) if SOURCE_URL else nodes.inline()
        replaced.extend(link.children)
        link.replace_self(replaced)


def _write_index(app: Sphinx, problem: Exception | None) -> None:
    if problem is None and app.builder.format == "html":
        shutil.copyfile(Path(app.outdir) / f"{root_doc}.html", Path(app.outdir) / "index.html")
