"""The HTML page in a real browser, from a file, with the network off: what runs, what breaks, what a user can do."""

import pytest

from ppo_cli.evaluation.compare import compare
from ppo_cli.experiment.schema import Kl
from ppo_cli.reports.html.page import render
from tests.browsing import (
    eventually,
    in_print,
    narrowed,
    needs_browser,
    on_screen,
    opened,
    pick,
    press,
    type_key,
    violations,
)
from tests.made_runs import seeds
from tests.reports.html_pages import HELP, REFUSAL, page, prompt

pytestmark = needs_browser

LONG = "lorem-" * 17_000
ATTACKS = (
    "<script>window.hit = 1</script>",
    "</script><script>window.hit = 1</script>",
    "<img src=x onerror='window.hit = 1'><svg onload=\"window.hit = 1\">",
    "\"'`><b>bold</b> &amp; &lt;script&gt; <!--",
    "\u202eevil\u202c \u2066x \u200f \x00\x1b[2J \u2028 \u2029",
    LONG,
)


@pytest.fixture
def show(browser, tmp_path):
    """Opens a page made of some records, at a fragment."""

    def show(records, fragment=""):
        file = tmp_path / "report.html"
        file.write_text(render(records), encoding="utf-8")
        return opened(browser, file, fragment)

    return show


def listed(browser):
    return browser.execute_script("return [...document.querySelectorAll('#list li')].map(item => item.dataset.id)")


def selected(browser):
    return browser.execute_script("return document.querySelector('#list li[aria-current]')?.dataset.id")


def mixed():
    """Three of nine prompts change their answer: p-0001 for the worse, p-0002 and p-0005 for the better."""

    def after(row):
        return HELP if row.id in ("p-0001", "p-0002", "p-0005") else REFUSAL

    return page([prompt(number) for number in range(9)], after=after)


def test_hostile_text_runs_nothing_loads_nothing_and_is_shown_as_it_is(show):
    prompts = [prompt(number, text=text, category=text[:40]) for number, text in enumerate(ATTACKS)]
    by_id = {row.id: text for row, text in zip(prompts, ATTACKS, strict=True)}
    browser = show(page(prompts, after=lambda row: by_id[row.id], title=ATTACKS[1], goal=ATTACKS[2]))
    for row in prompts:
        browser.execute_script("location.hash = arguments[0]", f"#p={row.id}")
        eventually(lambda row=row: selected(browser) == row.id)
        shown = browser.execute_script("return document.querySelector('#detail .side.b .text').textContent")
        if row.text.startswith("<") or row.text.startswith('"'):
            assert shown == row.text
    assert browser.execute_script("return window.hit") is None
    assert browser.execute_script("return document.scripts.length") == 2
    assert "[U+202E]evil[U+202C]" in browser.execute_script(
        "return [...document.querySelectorAll('#list .line')].map(e => e.textContent).join(' ')"
    )
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    requests = [entry["message"] for entry in browser.get_log("performance") if "requestWillBeSent" in entry["message"]]
    assert all('"url":"file:' in entry or '"url":"data:' in entry for entry in requests)


def test_a_line_of_100_kilobytes_widens_nothing(show):
    assert len(LONG) > 100_000
    browser = show(page([prompt(number) for number in range(3)], after=LONG), "#p=p-0001")
    wide = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    total, seen = browser.execute_script(wide)
    assert total <= seen
    numbers = browser.execute_script("return document.querySelector('#detail .side.b .numbers').textContent")
    assert f"the first 20000 of {len(LONG)} letters" in numbers


def test_the_policy_stops_a_script_that_is_not_the_pages_own(show):
    browser = show(page())
    browser.execute_script(
        "const s = document.createElement('script'); s.textContent = 'window.hit = 1'; document.body.append(s);"
        "const i = document.createElement('img'); i.src = 'https://example.org/x.png'; document.body.append(i);"
    )
    assert browser.execute_script("return window.hit") is None
    refused = [entry["message"] for entry in browser.get_log("browser")]
    assert any("script-src" in message for message in refused)
    assert any("img-src" in message for message in refused)


def test_filters_show_what_they_say(show):
    browser = show(mixed())
    assert len(listed(browser)) == 9
    assert listed(browser)[:3] == ["p-0001", "p-0002", "p-0005"]
    press(browser, '[data-show="flipped"]')
    assert listed(browser) == ["p-0001", "p-0002", "p-0005"]
    press(browser, '[data-show="worse"]')
    assert listed(browser) == ["p-0001"]
    press(browser, '[data-show="better"]')
    assert listed(browser) == ["p-0002", "p-0005"]
    press(browser, '[data-show="all"]')
    pick(browser, "expect", "refuse")
    assert listed(browser) == ["p-0001", "p-0004", "p-0007"]
    pick(browser, "category", "plain.home")
    assert listed(browser) == []
    assert browser.find_element("id", "count").text == "0 of 9 prompts"
    assert "No prompts match" in browser.find_element("id", "detail").text


def test_a_link_leads_back_to_what_was_seen(show):
    browser = show(mixed())
    press(browser, '[data-show="better"]')
    press(browser, '#list li[data-id="p-0005"]')
    press(browser, "#detail .tabs button:nth-child(2)")
    fragment = browser.execute_script("return location.hash")
    browser = show(mixed(), fragment)
    assert (listed(browser), selected(browser)) == (["p-0002", "p-0005"], "p-0005")
    pressed = browser.execute_script("return document.querySelector('#detail .tabs [aria-pressed=true]').textContent")
    assert pressed == "sample 2"


def test_an_id_of_any_letters_can_be_linked_to(show):
    odd = "a&b=c #1 \u00e9/%20\"'<x>"
    browser = show(page([prompt(0), prompt(3, id=odd)]))
    press(browser, f"#list li:nth-child({1 + listed(browser).index(odd)})")
    browser = show(page([prompt(0), prompt(3, id=odd)]), browser.execute_script("return location.hash"))
    assert selected(browser) == odd


def test_the_words_that_differ_are_marked(show):
    browser = show(page([prompt(0)], before="Take the red ladder now.", after="Take the tall red ladder."))
    marked = "return [...document.querySelectorAll('#detail ' + arguments[0])].map(e => e.textContent.trim())"
    assert browser.execute_script(marked, "ins") == ["tall", "ladder."]
    assert browser.execute_script(marked, "del") == ["ladder now."]


def test_it_can_be_read_by_keyboard(show):
    browser = show(mixed())
    type_key(browser, "j")
    type_key(browser, "j")
    assert selected(browser) == "p-0005"
    type_key(browser, "k")
    assert selected(browser) == "p-0002"
    type_key(browser, "2")
    assert "s=2" not in browser.execute_script("return location.hash")
    assert "s=1" in browser.execute_script("return location.hash")
    type_key(browser, "/")
    type_key(browser, "question 7")
    assert listed(browser) == ["p-0007"]


def test_unsafe_text_is_blurred_until_asked_for(show):
    browser = show(mixed(), "#p=p-0001")
    filters = "return getComputedStyle(document.querySelector('#detail .prompt')).filter"
    assert browser.execute_script(filters) == "blur(5px)"
    press(browser, "#blur")
    assert browser.execute_script(filters) == "none"


def test_a_page_of_a_thousand_prompts_holds_only_the_answers_that_are_shown(show):
    """So that it opens quickly: the other answers stay text until their prompt is chosen."""
    prompts = [prompt(number, text=f"Question {number}? " + "word " * 20) for number in range(1000)]
    browser = show(page(prompts, after=HELP * 5, samples=4))
    elements = browser.execute_script("return document.querySelectorAll('*').length")
    assert len(listed(browser)) == 1000
    assert elements < 10_000  # of 8,000 answers


def test_settings_of_several_seeds_say_whose_answer_is_seen_and_fit_on_a_telephone(browser, tmp_path):
    a = seeds(tmp_path, (1, 2), safe=0.7, prompts=24)
    b = seeds(tmp_path, (1, 2, 3), safe=0.2, prompts=24, kl=Kl(coef=0.5))
    names = [str(root) for root in (*a, *b)]
    file = tmp_path / "arms.html"
    compare(names, runs_dir=tmp_path, html=file)
    with narrowed(browser, 360):
        opened(browser, file, "#p=eval-000")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
    numbers = "return [...document.querySelectorAll('#detail .numbers')].map(line => line.textContent)"
    seen = [line.split(" · ")[0] for line in browser.execute_script(numbers)]
    assert seen == ["seed 1", "seed 1"]
    type_key(browser, "3")
    seen = [line.split(" · ")[0] for line in browser.execute_script(numbers)]
    assert seen == ["seed 2", "seed 2"]
    type_key(browser, "6")
    assert browser.execute_script(numbers)[1].startswith("seed 3 · ")
    assert browser.execute_script("return document.querySelectorAll('#detail .tabs button').length") == 6
    assert "Seed by seed" in browser.execute_script("return document.body.textContent")
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_cut_off_at_the_side(show, browser, width):
    with narrowed(browser, width):
        show(mixed())
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(show, theme):
    assert violations(show(page([prompt(number) for number in range(3)])), theme) == []


VERDICTS = "return [...document.querySelectorAll('.behaviour td.verdict')].map(e => e.getBoundingClientRect().right)"


def test_the_verdict_column_is_seen_on_a_telephone(show, browser):
    with narrowed(browser, 400):
        show(mixed())
        ends = browser.execute_script(VERDICTS)
    assert len(ends) >= 5
    assert max(ends) <= 400


def test_the_verdict_column_and_the_config_are_printed(show, browser):
    paper = 718  # pixels between the margins of A4
    with narrowed(browser, paper):
        show(mixed())
        in_print(browser)
        try:
            ends = browser.execute_script(VERDICTS)
            height = browser.execute_script(
                "return document.querySelector('.config td').getBoundingClientRect().height"
            )
        finally:
            on_screen(browser)
    assert max(ends) <= paper
    assert height > 0
