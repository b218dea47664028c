"""The schema as a table of keys."""

from ppo_cli.experiment.load import as_tree
from ppo_cli.experiment.schema import ROUND_MOVES, Experiment, Reward, Term
from ppo_cli.experiment.schema_index import flatten, generalise, keys_in, moves_of, nearest, schema_keys, sections
from ppo_cli.experiment.term_kinds import KINDS


def test_every_key_has_a_meaning_and_a_class():
    keys = schema_keys()
    assert len(keys) > 50
    for key in keys.values():
        assert key.doc.endswith((".", ".)")), key.path
        assert key.moves in ("frozen", "treatment", "free")


def test_the_table_and_the_tree_name_the_same_keys():
    experiment = Experiment(reward=Reward(terms={"ended": Term()}))
    parameters = {f"reward.terms.*.{name}" for kind in KINDS.values() for name in keys_in(kind)}
    left_out = {"reward.terms.*.kind", "reward.terms.*.normalise", *parameters}
    assert {generalise(path) for path in flatten(as_tree(experiment))} == set(schema_keys()) - left_out


def test_a_parameter_that_several_kinds_have_has_one_meaning_and_default():
    met = {}
    for kind in KINDS.values():
        for name, known in keys_in(kind).items():
            assert met.setdefault(name, known) == known


def test_classes_of_the_keys_that_matter_most():
    assert moves_of("kl.coef") == "treatment"
    assert moves_of("reward.terms.ended.weight") == "treatment"
    assert moves_of("reward.terms.mine.whatever") == "treatment"
    assert moves_of("seed") == "treatment"
    assert moves_of("prompts.eval") == "frozen"
    assert moves_of("evaluation.temperature") == "frozen"
    assert moves_of("output") == "free"
    assert moves_of("tracking") == "free"


def test_defaults_are_in_range():
    for key in schema_keys().values():
        assert key.range_error(key.default) is None, key.path


def test_nearest_prefers_a_sibling():
    assert nearest("ppo.learning_rat") == "ppo.learning_rate"
    assert nearest("evaluation.temperatur") == "evaluation.temperature"
    assert nearest("cliprange") == "ppo.cliprange"
    assert nearest("zzzzqqqq") is None


def test_every_round_moves_known_keys():
    known = {*schema_keys(), *sections()}
    for question, keys in ROUND_MOVES.values():
        assert question
        assert set(keys) <= known
