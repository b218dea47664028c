"""The pages of `ppo view` in a real browser, opened from disk: filters, pages of rows, CSV, and who can read them."""

import csv
import re

import pytest

from ppo_cli.reports.html.rollouts_page import render_rollouts
from ppo_cli.reports.html.runs_page import render_runs
from tests.browsing import eventually, narrowed, needs_browser, opened, pick, press, type_key, violations
from tests.reports.view_pages import entry, rollouts_page, runs_page

pytestmark = needs_browser

ATTACK = "=1+1,\"'</script><img src=x onerror='window.hit = 1'>\n\u202eevil\x1b[2J 你好"
REWARDS = "return [...document.querySelectorAll('#rows tbody td.strong')].map(cell => cell.textContent)"
WIDTH = "return document.documentElement.scrollWidth"


@pytest.fixture
def show(browser, tmp_path):
    """Opens a page, at a fragment."""

    def show(text, fragment=""):
        file = tmp_path / "page.html"
        file.write_text(text, encoding="utf-8")
        return opened(browser, file, fragment)

    return show


def some_runs():
    child = entry("b", parent="a", changed_keys={"kl.coef": 0.05}, kl=4.0, config={"goal": "Say less."})
    return render_runs(runs_page(entry("a"), child, entry("c", problem="c/run.json is damaged.")))


def numbers(shown):
    return [float(text.replace("−", "-")) for text in shown]


def test_a_filter_leaves_the_runs_that_fit_in_the_table_and_on_the_chart(show):
    browser = show(some_runs())
    seen = "return [...document.querySelectorAll('.runs tbody tr')].filter(row => !row.hidden).map(row => row.id)"
    marks = "return [...document.querySelectorAll('[id$=\"-point\"]')].filter(m => m.style.display !== 'none').length"
    assert browser.execute_script(seen) == ["run1", "run2", "run3"]
    type_key(browser, "/")
    type_key(browser, "say LESS")
    assert browser.execute_script(seen) == ["run2"]
    assert browser.execute_script(marks) == 1
    assert browser.find_element("id", "count").text == "1 of 3 runs"


def test_twenty_thousand_rollouts_are_shown_fifty_at_a_time(show):
    page = rollouts_page(per_update=100, updates=200)
    browser = show(render_rollouts(page))
    assert len(browser.execute_script(REWARDS)) == 50
    assert browser.execute_script("return document.querySelectorAll('*').length") < 5_000  # the other rows are data
    assert browser.find_element("id", "count").text == "1 to 50 of 20,000 rollouts"
    press(browser, '[data-sort="reward"][data-order="high"]')
    highest = sorted((made.reward for made in page.episodes), reverse=True)
    assert numbers(browser.execute_script(REWARDS)) == pytest.approx(highest[:50], abs=0.006)
    type_key(browser, "n")
    assert numbers(browser.execute_script(REWARDS)) == pytest.approx(highest[50:100], abs=0.006)
    assert "page=2" in browser.execute_script("return location.hash")
    pick(browser, "update", "7")
    assert browser.find_element("id", "count").text == "1 to 50 of 100 rollouts (20,000 in all)"
    type_key(browser, "/")
    type_key(browser, "no such words")
    assert browser.find_element("id", "count").text == "No rollouts match (20,000 in all)."


def test_what_fits_is_saved_as_csv_in_which_no_formula_runs(show, browser, tmp_path):
    page = rollouts_page(text=ATTACK)
    show(render_rollouts(page), "#update=3&sort=reward&order=high")
    browser.execute_cdp_cmd("Page.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    press(browser, "#csv")
    file = tmp_path / f"{page.entry.name}-rollouts.csv"
    eventually(lambda: file.is_file() and file.stat().st_size > 0)
    with file.open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.DictReader(lines))
    wanted = sorted((made for made in page.episodes if made.update == 3), key=lambda made: -made.reward)
    assert [int(row["episode"]) for row in rows] == [made.episode for made in wanted]
    assert {row["answer"] for row in rows} == {f"'{ATTACK}"}
    assert [float(row["terms.matches_expect"]) for row in rows] == pytest.approx(
        [made.terms["matches_expect"] for made in wanted], rel=1e-5
    )


def test_hostile_text_runs_nothing_and_is_shown_as_it_is(show):
    browser = show(render_rollouts(rollouts_page(text=ATTACK, entry=entry(ATTACK, parent=ATTACK))))
    press(browser, "#rows [data-episode]")
    shown = browser.execute_script("return document.querySelector('.unfolded .text').textContent")
    assert shown == ATTACK.replace("\u202e", "[U+202E]").replace("\x1b", "[U+001B]")
    assert browser.execute_script("return window.hit") is None
    assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []
    requests = [line["message"] for line in browser.get_log("performance") if "requestWillBeSent" in line["message"]]
    assert all('"url":"file:' in line or '"url":"data:' in line for line in requests)


def test_the_tables_are_there_without_javascript(show, browser):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        words = show(render_rollouts(rollouts_page())).find_element("tag name", "main").text
        runs = show(some_runs()).find_element("tag name", "main").text
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert re.search(r"^4 12 ", words, re.MULTILINE)  # the row of update 4, with twelve rollouts
    assert "Highest reward" in words
    assert "rollouts.jsonl holds them" in words
    assert "DIFFERS (1 seed)" in runs


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(show, theme):
    assert violations(show(some_runs()), theme) == []
    browser = show(render_rollouts(rollouts_page(per_update=3)))
    press(browser, "#rows [data-episode]")
    assert violations(browser, theme) == []


def test_nothing_is_cut_off_on_a_telephone(show, browser):
    with narrowed(browser, 400):
        show(some_runs())
        assert browser.execute_script(WIDTH) <= 400
        show(render_rollouts(rollouts_page()))
        press(browser, "#rows [data-episode]")
        assert browser.execute_script(WIDTH) <= 400
        ends = "return [...document.querySelectorAll('#rows td')].map(cell => cell.getBoundingClientRect().right)"
        assert max(browser.execute_script(ends)) <= 400
