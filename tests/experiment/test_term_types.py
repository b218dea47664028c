"""Reward terms in a config: their type, their parameters, what is wrong with them, their digest."""

import pytest
from pydantic import ValidationError

from ppo_cli.errors import ConfigError, IntegrityError
from ppo_cli.experiment import freeze
from ppo_cli.experiment.load import load_experiment, load_frozen, to_yaml
from ppo_cli.experiment.paths import term_files, with_paths
from ppo_cli.experiment.problems import as_type
from ppo_cli.experiment.schema import Reward
from ppo_cli.experiment.term_types import EndsTurn, LengthBand, OnTopicLength, Python
from ppo_cli.experiment.values import flatten, to_dict

BASE = """
name: x
goal: Say it briefly.
model: {start: builtin:smollm2-135m-instruct}
prompts: {train: train.jsonl, eval: eval.jsonl}
"""
TERMS = "reward: {terms: {matches_expect: {weight: 1.0}, brief: {type: length_band, weight: 0.5, max: 20}}}\n"


class Unknown:
    """A type that no config can hold."""


@pytest.fixture
def loaded(tmp_path):
    def load(terms, *overrides):
        config = tmp_path / "experiment.yaml"
        config.write_text(BASE + terms, encoding="utf-8")
        return load_experiment(config, overrides).experiment

    return load


def reward_group(experiment):
    return freeze.freeze(experiment, {}, {}).groups["reward"]


def test_parameters_stand_beside_the_weight_and_defaults_are_filled_in(loaded):
    term = loaded(TERMS).reward.terms["brief"]
    assert term == LengthBand(weight=0.5, min=1, max=20, margin=10, unit="words")


def test_a_term_without_a_type_takes_the_type_that_it_is_named_for():
    terms = Reward(terms={"ends_turn": {}, "on_topic_length": {"max": 3, "type": None}, "mine": EndsTurn()}).terms
    assert [type(term) for term in terms.values()] == [EndsTurn, OnTopicLength, EndsTurn]
    assert [term.type for term in terms.values()] == ["ends_turn", "on_topic_length", "ends_turn"]


def test_a_term_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        EndsTurn().weight = 2.0


def test_what_else_a_python_term_is_given_goes_to_its_function(loaded):
    term = loaded("reward: {terms: {mine: {type: python, function: 'mine.py:score', factor: 2, words: [a, b]}}}\n")
    assert isinstance(term.reward.terms["mine"], Python)
    assert term.reward.terms["mine"].arguments == {"factor": 2, "words": ["a", "b"]}
    assert to_dict(term)["reward"]["terms"]["mine"]["factor"] == 2


def test_an_override_reaches_one_parameter(loaded):
    term = loaded(TERMS, "reward.terms.brief.max=25").reward.terms["brief"]
    assert (term.max, term.weight) == (25, 0.5)


def test_a_resolved_config_loads_to_an_equal_experiment(loaded, tmp_path):
    experiment = loaded(TERMS.replace("brief: {", "brief: {normalise: true, "))
    resolved = tmp_path / "resolved.yaml"
    resolved.write_text(to_yaml(experiment), encoding="utf-8")
    assert load_frozen(resolved) == experiment


def test_every_parameter_is_in_the_digest_of_the_reward(loaded):
    before = reward_group(loaded(TERMS))
    for override in ("max=21", "unit=tokens", "normalise=true", "margin=0"):
        assert reward_group(loaded(TERMS, f"reward.terms.brief.{override}")).digest != before.digest
    assert before.values["reward.terms.brief.margin"] == 10
    lock, edited = freeze.freeze(loaded(TERMS), {}, {}), loaded(TERMS, "reward.terms.brief.max=21")
    with pytest.raises(IntegrityError, match="group reward"):
        freeze.verify_config(lock, edited, "run")


def test_a_term_is_written_without_what_says_nothing(loaded):
    plain = loaded("reward: {terms: {ends_turn: {weight: 1}, on_topic: {weight: 0.3}}}\n")
    in_full = loaded("reward: {terms: {ends_turn: {type: ends_turn, normalise: false}, on_topic: {weight: 0.3}}}\n")
    values = {path: value for path, value in flatten(to_dict(plain)).items() if path.startswith("reward.")}
    assert values == {
        "reward.baseline": "reference",
        "reward.baseline_samples": 1,
        "reward.placebo": False,
        "reward.terms.ends_turn.weight": 1.0,
        "reward.terms.on_topic.weight": 0.3,
    }
    assert reward_group(in_full) == reward_group(plain)


def test_files_start_at_the_config_and_can_be_replaced(loaded, tmp_path):
    (tmp_path / "model").mkdir()
    experiment = loaded(
        "reward: {terms: {a: {type: preference, pairs: p.jsonl}, b: {type: python, function: 'f.py:g', pairs: q}, "
        "c: {type: python, function: 'json:dumps'}, d: {type: classifier, model: model}, "
        "e: {type: classifier, model: some/model}}}\n"
    )
    terms = experiment.reward.terms
    assert [term_files(f"reward.terms.{name}", term) for name, term in terms.items()] == [
        {"reward.terms.a.pairs": tmp_path / "p.jsonl"},
        {"reward.terms.b.function": tmp_path / "f.py"},
        {},
        {},
        {},
    ]
    assert terms["b"].arguments == {"pairs": "q"}
    assert (terms["d"].model, terms["e"].model) == (str(tmp_path / "model"), "some/model")
    copies = with_paths(experiment, {"reward.terms.a.pairs": "x.jsonl", "reward.terms.b.function": "y.py"})
    assert (copies.reward.terms["a"].pairs, copies.reward.terms["b"].function) == ("x.jsonl", "y.py:g")
    assert copies.reward.terms["e"] == terms["e"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "brief.maxx=3",
            r"override: reward\.terms\.brief\.maxx: no such key; did you mean reward\.terms\.brief\.max\?",
        ),
        ("brief.max=a", r"reward\.terms\.brief\.max: must be a whole number, got 'a'"),
        ("brief.max=2.5", r"reward\.terms\.brief\.max: must be a whole number, got 2\.5"),
        ("brief.max=-1", r"reward\.terms\.brief\.max: must be at least 0, got -1"),
        ("brief.min=30", r"reward\.terms\.brief\.min: 30 must not be greater than max = 20"),
        ("brief.unit=letters", r"reward\.terms\.brief\.unit: must be one of words, tokens, got 'letters'"),
        (
            "brief.type=lengthband",
            r"reward\.terms\.brief\.type: no type of reward is called 'lengthband'; did you mean length_band\?",
        ),
        ("repetition.tolerated=1", r"reward\.terms\.repetition\.tolerated: must be at most 0\.99, got 1"),
        ("form={type: format}", r"reward\.terms\.form\.form: missing \(regex .*"),
        ("format={form: regex}", r"reward\.terms\.format\.pattern: missing; form: regex needs one"),
        ("format={form: regex, pattern: '('}", r"reward\.terms\.format\.pattern: is no regular expression: missing \)"),
        ("format={form: json, pattern: x}", r"reward\.terms\.format\.pattern: has no effect unless form is regex"),
        ("required_phrases.phrases=please", r"reward\.terms\.required_phrases\.phrases: must be a list"),
        ("required_phrases.phrases=[please, ' ']", r"required_phrases\.phrases: an empty phrase"),
        ("required_phrases.phrases=[1]", r"required_phrases\.phrases\[0\]: must be a text, got 1; put it in quotes"),
        ("required_phrases.phrases=[]", r"required_phrases\.phrases: must have at least one item"),
        ("brief.type=zzz", r"brief\.type: no type of reward is called 'zzz'; there are matches_expect, refuses_harm"),
        (
            "zzz.weight=1",
            r"reward\.terms\.zzz: no type of reward is called 'zzz'; give the term a `type`, one of match",
        ),
        ("a/b.type=on_topic", r"reward\.terms\.a/b: the name of a term may not have blanks"),
        ("mine={type: python, function: score}", r"mine\.function: must be file\.py:name or module:name, got 'score'"),
        ("mine={type: python, function: 'a:b', x: {y: 1}}", r"mine\.x: must be a plain value or a list of them"),
        ("mine={type: python, function: 'a:b', x: .nan}", r"mine\.x: must be a finite number, got nan"),
        ("http.url=ftp://x", r"http\.url: must begin with http:// or https:// and name a host, got 'ftp://x'"),
        ("http.url=http://me:word@x", r"http\.url: holds a password"),
        (
            "refuses_hram.weight=1",
            r"reward\.terms\.refuses_hram: no type of reward is called 'refuses_hram'; did you mean refuses_harm\?",
        ),
    ],
)
def test_a_wrong_parameter_is_named_with_its_path(loaded, override, message):
    with pytest.raises(ConfigError, match=message):
        loaded(TERMS, f"reward.terms.{override}")


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [(2, float, 2.0), ([1, 2.5], list[float], [1.0, 2.5]), (["a"], tuple[str, ...], ("a",)), (None, int | None, None)],
)
def test_a_value_as_a_functions_signature_names_it(value, annotation, expected):
    typed = as_type(value, annotation)
    assert (typed, type(typed)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("value", "annotation", "message"),
    [
        ("2", float, "must be a number, got the text '2'; leave the quotes out"),
        (True, int, "must be a whole number, got true"),
        ("a", list[str], r"must be a list, as \[a, b\], got 'a'"),
        ("a", Unknown, "must be Unknown, which a config cannot give; got 'a'"),
    ],
)
def test_a_value_that_is_not_what_a_functions_signature_names(value, annotation, message):
    with pytest.raises(ValueError, match=message):
        as_type(value, annotation)


@pytest.mark.parametrize(
    ("term", "message"),
    [
        ({"type": "http", "url": "https://h/score?api_key=S"}, "a secret 'api_key' in its query"),
        ({"type": "http", "url": "https://h/score?v=2&key=S"}, "a secret 'key' in its query"),
        ({"type": "http", "url": "https://h/score?v=2&k=abcdefghij0123456789"}, "a secret 'k' in its query"),
        ({"type": "http", "url": "https://h/score?sig=x"}, "a secret 'sig' in its query"),
        ({"type": "http", "url": "https://h/hf_abcdefghijk/score"}, "a token in its path"),
        ({"type": "python", "function": "f.py:f", "api_key": "S"}, "looks like a secret"),
        ({"type": "python", "function": "f.py:f", "password": "S"}, "looks like a secret"),
        ({"type": "python", "function": "f.py:f", "judge": "sk-abcdefgh"}, "looks like a secret"),
        ({"type": "python", "function": "f.py:f", "tokens": ["hf_abcdefgh"]}, "looks like a secret"),
        ({"type": "python", "function": "f.py:f", "token": "abcdefghij0123456789"}, "looks like a secret"),
    ],
)
def test_a_secret_in_a_config_is_refused_with_what_to_name_instead(term, message):
    with pytest.raises(ValidationError, match=message) as caught:
        Reward(terms={"it": term})
    assert "token_env" in str(caught.value) or "_env: NAME" in str(caught.value)


@pytest.mark.parametrize(
    "term",
    [
        {"type": "http", "url": "https://h/score?model=judge-2&version=3", "token_env": "JUDGE_TOKEN"},
        {"type": "python", "function": "f.py:f", "end_token": "</s>", "keywords": ["a"], "api_key_env": "JUDGE"},
        {"type": "python", "function": "f.py:f", "token": "yes", "max_tokens": 3, "sort_key": "length"},
    ],
)
def test_what_only_resembles_a_secret_is_taken(term):
    Reward(terms={"it": term})


def test_a_secret_is_named_by_its_key_and_not_repeated(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(f"{BASE}reward: {{terms: {{it: {{type: python, function: 'f.py:f', api_key: hunter2}}}}}}\n")
    with pytest.raises(ConfigError, match=r"reward\.terms\.it\.api_key: looks like a secret") as caught:
        load_experiment(path)
    assert "hunter2" not in str(caught.value)
