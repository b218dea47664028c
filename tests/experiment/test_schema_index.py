"""The schema as a table of keys."""

from ppo_cli.experiment.schema import ROUNDS, Experiment, Reward
from ppo_cli.experiment.schema_index import closest_key, key_of, keys_in, role_of, schema_keys, sections, wildcard_path
from ppo_cli.experiment.term_types import TERM_TYPES, RewardTerm
from ppo_cli.experiment.values import flatten, to_dict


def test_every_key_has_a_meaning_and_a_role():
    keys = schema_keys()
    assert len(keys) > 50
    for key in keys.values():
        assert key.doc.endswith((".", ".)")), key.path
        assert key.role in ("frozen", "treatment", "free")


def test_the_table_and_the_tree_name_the_same_keys():
    given = {"name": "x", "goal": "g", "model": {"start": "m"}, "prompts": {"train": "t", "eval": "e"}}
    experiment = Experiment(**given, reward=Reward(terms={"ends_turn": {}}))
    parameters = {f"reward.terms.*.{name}" for model in TERM_TYPES.values() for name in keys_in(model)}
    left_out = parameters - {"reward.terms.*.weight"} | {path for path in schema_keys() if ".measures.*." in path}
    assert {wildcard_path(path) for path in flatten(to_dict(experiment))} == set(schema_keys()) - left_out


def test_a_parameter_that_several_types_have_has_one_meaning_and_default():
    met = {}
    for model in TERM_TYPES.values():
        for name, key in keys_in(model).items():
            if name not in RewardTerm.model_fields:
                assert met.setdefault(name, key) == key


def test_roles_of_the_keys_that_matter_most():
    assert role_of("kl.coef") == "treatment"
    assert role_of("reward.terms.ends_turn.weight") == "treatment"
    assert role_of("reward.terms.mine.whatever") == "treatment"
    assert role_of("seed") == "treatment"
    assert role_of("prompts.eval") == "frozen"
    assert role_of("evaluation.temperature") == "frozen"
    assert role_of("output") == "free"
    assert role_of("tracking") == "free"


def test_defaults_are_in_range():
    for key in schema_keys().values():
        assert not isinstance(key.default, float | int) or key.allows(key.default), key.path


def test_a_range_is_read_from_the_schema():
    key = key_of("kl.target")
    assert (key.gt, key.allows(0.0), key.allows(0.1)) == (0.0, False, True)
    assert not key_of("reward.terms.mine.weight").allows(2000.0)
    assert key_of("kl") is None


def test_the_closest_key_is_a_sibling_first():
    assert closest_key("ppo.learning_rat") == "ppo.learning_rate"
    assert closest_key("evaluation.temperatur") == "evaluation.temperature"
    assert closest_key("cliprange") == "ppo.cliprange"
    assert closest_key("zzzzqqqq") is None


def test_every_round_may_change_known_keys():
    known = {*schema_keys(), *sections()}
    for question, may_change in ROUNDS.values():
        assert question
        assert set(may_change) <= known
