"""Rules for the whole source: short files, the field's words, and no names of earlier versions."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAX_LINES = 400
SOURCES = sorted((ROOT / "ppo_cli").rglob("*.py"))
PYTHON_FILES = [*SOURCES, *sorted((ROOT / "benchmarks").glob("*.py")), *sorted((ROOT / "tests").rglob("*.py"))]
TEXTS = [
    *SOURCES,
    *sorted((ROOT / "ppo_cli").rglob("*.html")),
    *sorted((ROOT / "benchmarks").glob("*.py")),
    *sorted((ROOT / "configs").rglob("*.yaml")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *(
        ROOT / name
        for name in (
            "README.md",
            "README.zh-CN.md",
            "CONTRIBUTING.md",
            "Makefile",
            "pyproject.toml",
            ".pre-commit-config.yaml",
        )
    ),
]
PER = (
    r"\b(?:nats|KL|entropy|tokens?|words?|sentences?|rows?|lines?|bytes|episodes?|seeds?|seconds?|minutes?|files?|"
    r"columns?|entry|section|folders?|draws?) an? (?:answer|token|update|prompt|seed|arm|step|run|family|command|"
    r"measure|process|setting|category)\b"
)
FORBIDDEN = {
    "'per', never the article": PER,
    "private metaphors": (
        r"\b(?:overhear\w*|reckon\w*|let go|stands on|hears? of|told of|own teacher|rooms?|tricks?|mend(?:s|ed|ing)?|"
        r"lucky?|(?:the|a|its) gate|rings? (?:an? )?alarms?|alarms? (?:that )?rings?|rang|obey\w*|course of a run)\b"
    ),
    "money for rewards": (
        r"\b(?:(?:reward|term|rule|policy|it) (?:is |was )?(?:pays?|paid|buys?|bought|earns?|earned)|"
        r"(?:is|are|was|were) paid|(?:best|worst)-paid|pays? for|paid for|price of moving)\b"
    ),
    "names of earlier packages and modules": (
        r"\bppo_cli[./](?:commands|analysis)\b|\bcommands/|\banalysis/|`(?:analysis|commands)(?:\.\w+)?`|"
        r"\b(?:models|behaviours)[./]catalog\b|`outcomes`"
    ),
    "names of earlier errors": (
        r"\b(?:GateError|FailConditionMet|Unreachable|NotTuned|NoPermission|DiskFull|NotComparable|ConditionMet|"
        r"Abandoned|Paused)\b"
    ),
    "earlier measures": (
        r"\b(?:topic\.mentions|topic\.at_once|ending\.whole|repetition\.loops|form\.(?:empty|repetition)|brevity\.\w+|"
        r"refusal\.conservatism|conservatism|reward\.alone|reward\.by_length)\b"
    ),
    "earlier alarms": r"\balarm \"(?:reward too clever|KL too small|nothing moves|eval like train|data too narrow)\"",
    "earlier config keys": (
        r"\b(?:keeps_to_goal|answers_briefly|reward\.other|other_samples|question: (?:helps|fails))\b|"
        r"\bkind: (?:ended|mentions|format|python|service|classifier|length_band)\b|^variable:"
    ),
    "earlier options": r"--(?:vary|again|on-common|only-changed|md|from-csv|out|output)(?![\w-])",
    "earlier files": (
        r"\bbroken\.jsonl|service_scores|draft\.jsonl|reference_answers\.jsonl|configs/traps|prompts/check\b|\"looks\""
    ),
}
ALLOWED = (
    ("ppo_cli/alarms/", "earlier alarms"),  # a docstring names the article's phrase as a subtitle
    ("ppo_cli/stats/resampling.py", "earlier measures"),  # names of random streams, which must not change
    ("ppo_cli/behaviours/refusal_", ""),  # patterns of what models say
)


def name_of(path):
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", PYTHON_FILES, ids=name_of)
def test_no_file_is_long(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("rule", FORBIDDEN)
def test_no_text_has_these_words(rule):
    pattern = re.compile(FORBIDDEN[rule], re.MULTILINE)
    findings = []
    for path in TEXTS:
        if any(name_of(path).startswith(start) and what in rule for start, what in ALLOWED):
            continue
        text = path.read_text(encoding="utf-8")
        for match in pattern.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            findings.append(f"{name_of(path)}:{line}: {match[0]!r}")
    assert not findings, f"{rule}:\n" + "\n".join(findings)


@pytest.mark.parametrize(
    ("contract", "folder", "others"),
    [
        (
            "Commands do not import each other",
            "cli",
            {"commands", "completion", "measure_question", "output", "terminal"},
        ),
        ("Alarms do not import each other", "alarms", {"run_history", "advice", "rates"}),
        (
            "Rules that label an answer do not import each other",
            "behaviours",
            {
                "closeness",
                "glossary",
                "label_answers",
                "refusal_chinese",
                "refusal_english",
                "refusal_languages",
                "refusal_parts",
            },
        ),
    ],
)
def test_a_contract_about_imports_names_every_module(contract, folder, others):
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (named,) = (entry for entry in settings["tool"]["importlinter"]["contracts"] if entry["name"] == contract)
    modules = {path.stem for path in (ROOT / "ppo_cli" / folder).glob("*.py")} - {"__init__"} - others
    assert set(named["modules"]) == {f"ppo_cli.{folder}.{module}" for module in modules}


def test_the_tree_in_the_documentation_names_every_module():
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    tree = page[page.index("## The tree") : page.index("## Walk 1")]
    named = set(re.findall(r"\w+\.py", tree))
    modules = {path.name for path in (ROOT / "ppo_cli").rglob("*.py")}
    screens = {path.name for path in (ROOT / "ppo_cli/reports/screens").glob("*.py")}
    assert sorted(modules - named - screens - {"__init__.py"}) == []
    assert sorted(named - modules) == []


def test_the_questions_of_contributors_lead_to_files_that_are_there():
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = page[page.index("## Where is it?") :]
    files = set(re.findall(r"`([a-z_]+/[a-z_]+\.py)", table))
    assert len(files) >= 10
    assert sorted(name for name in files if not (ROOT / "ppo_cli" / name).is_file()) == []
