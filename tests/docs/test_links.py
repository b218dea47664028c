"""Every link of the documentation leads to a file and a heading that are there; the site's navigation has every page.

Headings get their anchors as a code host makes them. Not here: addresses of other sites.
"""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "benchmarks").glob("*.md")),
]
FENCE = re.compile(r"^ *(```|~~~).*?^ *\1", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\]\(<?([^)<>\s]+)>?\)")
HEADING = re.compile(r"^#{1,6} +(.+?)\s*#*$", re.MULTILINE)


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def anchors(page):
    """The anchors of a page's headings: lower case, punctuation gone, blanks as hyphens, repeated ones numbered."""
    met = Counter()
    found = set()
    for heading in HEADING.findall(FENCE.sub("", page)):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", words.strip().lower()).replace(" ", "-")
        found.add(f"{slug}-{met[slug]}" if met[slug] else slug)
        met[slug] += 1
    return found


def links(page):
    prose = CODE.sub("", FENCE.sub("", page))
    return [target for target in LINK.findall(prose) if not re.match(r"\w+:", target)]


def leads_somewhere(page, target):
    name, _, anchor = target.partition("#")
    file = (page.parent / name).resolve() if name else page
    if not file.is_relative_to(ROOT) or not file.exists():
        return False
    return not anchor or file.suffix != ".md" or anchor in anchors(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_link_leads_to_a_file_and_a_heading(path):
    text = path.read_text(encoding="utf-8")
    assert [target for target in links(text) if not leads_somewhere(path, target)] == []


def test_anchors_are_those_of_a_code_host():
    page = "# A, b: `c.d` – e\n\n## Same\n\n## Same\n\n```\n# no heading\n```\n\n## 自己的 model\n"
    assert anchors(page) == {"a-b-cd--e", "same", "same-1", "自己的-model"}


def test_the_list_of_pages_has_every_page():
    listed = {(ROOT / "docs" / name).resolve() for name in links((ROOT / "docs/README.md").read_text(encoding="utf-8"))}
    assert sorted(map(name_of, set((ROOT / "docs").rglob("*.md")) - listed - {ROOT / "docs/README.md"})) == []
