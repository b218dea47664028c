"""The HTML page as text: what may run, what may load, what a hostile answer can do, and that bytes repeat."""

import base64
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ppo_cli.reports.html.document import json_island, reveal_control_chars
from ppo_cli.reports.html.page import render
from tests.reports.html_pages import ALARM, HOSTILE, Elements, page, prompt, run

ROOT = Path(__file__).parents[2]


def test_one_script_may_run_and_it_is_the_one_that_the_policy_names():
    parsed = Elements(render(page()))
    data, script = parsed.scripts
    policy = next(attrs["content"] for tag, attrs in parsed.elements if attrs.get("http-equiv"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
    assert json.loads(data)["prompts"][0]["id"] == "p-0000"


def test_nothing_is_loaded_and_no_element_carries_code():
    for tag, attrs in Elements(render(page())).elements:
        assert tag not in ("link", "iframe", "object", "embed", "base", "img")
        assert not any(name.startswith("on") for name in attrs), attrs
        for name in ("src", "href", "xlink:href", "action"):
            assert attrs.get(name, "#").startswith(("#", "data:image/png;base64,")), attrs


@pytest.mark.slow
@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_model_says_makes_no_element(text):
    tame = Elements(render(page()))
    hostile = Elements(
        render(
            page(
                [prompt(number, text=text, category=text) for number in range(6)],
                after=text,
                goal=text,
                title=text,
                runs=[run(name=text, settings={"seed": 1, text: text}, alarms=[ALARM])],
            )
        )
        .encode()
        .decode()
    )
    counts = [[tag for tag, _ in parsed.elements].count("script") for parsed in (tame, hostile)]
    assert counts == [2, 2]
    assert {tag for tag, _ in hostile.elements} <= {tag for tag, _ in tame.elements} | {
        "article",
        "h4",
        "ul",
        "li",
        "strong",
        "em",
    }
    assert json.loads(hostile.scripts[0])["prompts"][0]["answers"][1][0][0] == text


def test_an_island_is_ascii_and_reads_back_as_it_was():
    text = json_island(list(HOSTILE))
    assert text.isascii()
    assert not set("<>&") & set(text)
    assert json.loads(text) == list(HOSTILE)


def test_marks_that_steer_are_named():
    assert reveal_control_chars("a\u202eb\x1b\u200fc\nd\te") == "a[U+202E]b[U+001B][U+200F]c\nd\te"
    assert reveal_control_chars("naïve 你好 don\u2019t 5\u00a0%") == "naïve 你好 don\u2019t 5\u00a0%"


@pytest.mark.process
def test_the_same_records_give_the_same_bytes_in_another_process():
    code = "import hashlib; from tests.reports.html_pages import page; from ppo_cli.reports.html.page import render;"
    code += "print(hashlib.sha256(render(page()).encode()).hexdigest())"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert other.stdout.strip() == hashlib.sha256(render(page()).encode()).hexdigest()


def test_better_and_worse_are_told_in_words_and_nothing_is_said_only_on_hovering():
    text = render(page())
    assert "▲ better" in text
    assert "▼ worse" in text
    assert " title=" not in text.replace("<title>", "")
    assert "how well the model tells requests to refuse from requests to answer" in text
    assert text.count('data-label="verdict"') == text.count('class="verdict" data-label')


def test_axes_that_count_have_whole_numbers_only():
    charts = dict(re.findall(r'<svg[^>]*aria-label="([^"]*)">(.*?)</svg>', render(page()), flags=re.DOTALL))
    axis = charts["KL, nats per answer by update"]
    ticks = re.findall(r'id="curve-kl-xtick_\d+".*?<text[^>]*>(.*?)</text>', axis, re.DOTALL)
    assert ticks == ["1", "2", "3"]


def test_every_section_is_there_and_the_loss_is_last():
    text = render(page(runs=[run(alarms=[ALARM])]))
    headings = re.findall(r'<h2 id="(\w+)"', text)
    assert headings == (
        "verdict alarms comparable behaviour flips browser lengths training config methods provenance".split()
    )
    assert text.index("loss: policy") > text.index('id="provenance"')
    assert text.count("<svg") == 6  # without a reward of the answer alone there is nothing to draw of it
    assert "Policy drifted too far" in text
    assert "This alarm was raised in 1 of 250 healthy runs." in text


def test_charts_take_their_colours_from_the_style_sheet():
    charts = "".join(re.findall(r"<svg.*?</svg>", render(page()), flags=re.DOTALL))
    assert re.findall(r"#0[1-6]0[1-6]0[1-6]", charts) == []
    assert {"var(--ink)", "var(--muted)", "var(--a)", "var(--band)"} <= set(re.findall(r"var\(--\w+\)", charts))
    ids = re.findall(r' id="([^"]+)"', charts)
    assert len(ids) == len(set(ids))


def test_transitions_are_counts_of_prompts_on_the_page():
    counts = {group.expect: group.counts for group in page().transitions}
    assert counts == {"refuse": {("always", "never"): 2}, "comply": {("always", "never"): 4}}
    assert "should refuse (2 prompts)" in render(page())
