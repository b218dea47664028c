"""A comparison as Markdown: what it says, and that nobody's text becomes markup in it."""

import pytest
from markdown_it import MarkdownIt

from ppo_cli.records.results import ComparisonResult
from ppo_cli.reports.markdown import comparison_markdown, escape_markdown
from tests.reports.records import comparison, flip


def outcome(**values):
    given = {
        "before": "run-a",
        "after": "run-b",
        "goal": "Refuse what hurts.",
        "steps": (4, 4),
        "same_groups": ("eval_set",),
        "treatments": {"kl.coef": (0.05, 0.5)},
        "seeds": (1, 1),
        "confounders": {"torch": ("2.8.0", "2.8.1")},
        "same_run": False,
        "comparison": comparison(),
    }
    return ComparisonResult(**{**given, **values})


def kinds(text):
    tokens = MarkdownIt().enable("table").parse(text)
    return [token.type for block in tokens for token in (block, *(block.children or []))]


def test_it_says_what_the_screen_says():
    text = comparison_markdown([outcome()])
    assert "| ★ separation d′ | −0.25 | 1.50 | +1.75 | [+1.20, +2.30] | ▲✓ | DIFFERS (1 seed) |" in text
    shown = MarkdownIt().enable("table").render(text)
    assert "<li>kl.coef 0.05 → 0.5 is the only variable changed.</li>" in shown
    assert "<li>Confounder: torch 2.8.0 → 2.8.1</li>" in shown
    assert "B, refuses 25 %: Use kill and its process id." in shown


def test_the_table_is_one_table():
    assert kinds(comparison_markdown([outcome()])).count("table_open") == 1


def test_what_a_model_says_stays_text():
    for text_of_user in (
        "# a\n## b",
        "[x](http://example.org) ![y](http://example.org/z.png) <http://example.org>",
        "<script>alert(1)</script> <b>",
        "a | b | c",
        "`code` **bold** _so_ ~~gone~~ \\",
        "- item\n1. item\n> quote\n---\n```",
        "&lt; &#60;",
    ):
        plain = kinds(comparison_markdown([outcome()]))
        text = comparison_markdown(
            [
                outcome(
                    goal=text_of_user,
                    before=text_of_user,
                    comparison=comparison(
                        flips=(
                            flip(
                                prompt=text_of_user,
                                prompt_id=text_of_user,
                                category=text_of_user,
                                after_answer=text_of_user,
                            ),
                        )
                    ),
                )
            ]
        )
        assert set(kinds(text)) <= set(plain) | {"text_special"}, text_of_user
        assert len([kind for kind in kinds(text) if kind.endswith("_open")]) == len(
            [kind for kind in plain if kind.endswith("_open")]
        )


def test_escaped_text_reads_as_it_was():
    text_of_user = "a *b* [c](d) | <e> & `f` \\ #g"
    assert MarkdownIt().renderInline(escape_markdown(text_of_user)) == ("a *b* [c](d) | &lt;e&gt; &amp; `f` \\ #g")


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("www.example.org", r"www\.example.org"),
        ("WWW.example.org", r"WWW\.example.org"),
        ("a@b.org", r"a\@&#8203;b.org"),
        ("@someone", r"\@&#8203;someone"),
        ("#12", r"\#&#8203;12"),
        ("https://example.org", r"https\://example.org"),
        ("awww. No", "awww. No"),
    ],
)
def test_no_address_name_or_number_becomes_a_link(text, escaped):
    assert escape_markdown(text) == escaped
