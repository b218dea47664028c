"""The glossary is made from the table of measures, and is current."""

from pathlib import Path

from ppo_cli.behaviours.glossary import glossary
from ppo_cli.behaviours.measures import MEASURES

PAGE = Path(__file__).parents[2] / "docs" / "glossary.md"


def test_the_page_is_what_the_table_says():
    assert PAGE.read_text(encoding="utf-8") == glossary(), "write it anew with: make glossary"


def test_every_measure_has_an_entry_with_its_error_and_its_source():
    page = glossary()
    for measure in MEASURES:
        entry = page.split(f"**{measure.name}**")[1].split("\n\n")[0]
        for part in (measure.definition[1:], measure.error, measure.source, measure.unit):
            assert part in entry
