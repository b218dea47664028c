"""The schema as a table of keys."""

from ppo_cli.experiment.load import to_dict
from ppo_cli.experiment.schema import ROUNDS, Experiment, Reward, Term
from ppo_cli.experiment.schema_index import closest_key, flatten, keys_in, role_of, schema_keys, sections, wildcard_path
from ppo_cli.experiment.term_kinds import KINDS


def test_every_key_has_a_meaning_and_a_class():
    keys = schema_keys()
    assert len(keys) > 50
    for key in keys.values():
        assert key.doc.endswith((".", ".)")), key.path
        assert key.role in ("frozen", "treatment", "free")


def test_the_table_and_the_tree_name_the_same_keys():
    experiment = Experiment(reward=Reward(terms={"ended": Term()}))
    parameters = {f"reward.terms.*.{name}" for kind in KINDS.values() for name in keys_in(kind)}
    left_out = {"reward.terms.*.kind", "reward.terms.*.normalise", *parameters}
    assert {wildcard_path(path) for path in flatten(to_dict(experiment))} == set(schema_keys()) - left_out


def test_a_parameter_that_several_kinds_have_has_one_meaning_and_default():
    met = {}
    for kind in KINDS.values():
        for name, known in keys_in(kind).items():
            assert met.setdefault(name, known) == known


def test_classes_of_the_keys_that_matter_most():
    assert role_of("kl.coef") == "treatment"
    assert role_of("reward.terms.ended.weight") == "treatment"
    assert role_of("reward.terms.mine.whatever") == "treatment"
    assert role_of("seed") == "treatment"
    assert role_of("prompts.eval") == "frozen"
    assert role_of("evaluation.temperature") == "frozen"
    assert role_of("output") == "free"
    assert role_of("tracking") == "free"


def test_defaults_are_in_range():
    for key in schema_keys().values():
        assert key.range_error(key.default) is None, key.path


def test_nearest_prefers_a_sibling():
    assert closest_key("ppo.learning_rat") == "ppo.learning_rate"
    assert closest_key("evaluation.temperatur") == "evaluation.temperature"
    assert closest_key("cliprange") == "ppo.cliprange"
    assert closest_key("zzzzqqqq") is None


def test_every_round_moves_known_keys():
    known = {*schema_keys(), *sections()}
    for question, keys in ROUNDS.values():
        assert question
        assert set(keys) <= known
