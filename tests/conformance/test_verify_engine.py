"""The certificates of our trainer and of TRL 1.12's, the command, and adapters that cannot be used."""

import json
from pathlib import Path

import pytest

from ppo_cli.conformance.adapter import Settings
from ppo_cli.conformance.tiny_models import EOS
from ppo_cli.conformance.trainings import Episode
from ppo_cli.conformance.update_checks import expected_advantages
from ppo_cli.conformance.user_engine import load_engine
from ppo_cli.conformance.verify import CHECKS, verify_engine
from ppo_cli.errors import ConfigError
from tests.engine.trl_stock_trainer import forget_accelerators
from tests.terminal import ppo

ROOT = Path(__file__).parents[2]
TRL = f"{ROOT / 'benchmarks' / 'trl_engine.py'}:engine"
TRL_FAILS = {
    "eos_gets_credit_where_it_pads",
    "statistics_leave_out_padding",
    "accumulation_is_exact",
    "gradient_norm_is_limited",
    "bad_score_is_refused",
    "generation_settings_are_inert",
    "seed_is_exact",
    "observer_is_inert",
}
REFUSES = """
class Engine:
    name, version, abilities = "refuses", "0", ("kl",)

    def training(self, task):
        raise RuntimeError("no trainer here\\nand nowhere else")


def engine():
    print("printed by the adapter")
    return Engine()


def incomplete():
    return object()


def fails():
    raise ValueError("nothing to return")


def ends():
    raise SystemExit(3)


def knows_too_much():
    made = Engine()
    made.abilities = ("telepathy",)
    return made
"""


@pytest.fixture(autouse=True)
def no_accelerator_of_another_test():
    forget_accelerators()
    yield
    forget_accelerators()


@pytest.mark.slow
def test_our_trainer_passes_every_check():
    result = verify_engine()
    assert {check.name: check.status for check in result.checks} == {check.name: "pass" for check in CHECKS}
    assert (result.engine, result.status) == ("ppo-cli", "pass")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:var\\(\\):UserWarning")  # TRL logs the variance of a single ratio
def test_trls_trainer_fails_the_checks_of_its_known_faults():
    result = verify_engine(TRL)
    statuses = {check.name: check.status for check in result.checks}
    assert {name for name, status in statuses.items() if status == "fail"} == TRL_FAILS
    assert {name for name, status in statuses.items() if status == "not checked"} == {
        "dual_clip_acts",
        "resume_is_exact",
    }
    assert not [check for check in result.checks if check.status == "fail" and check.detail]


@pytest.fixture
def adapter(tmp_path):
    (tmp_path / "adapter.py").write_text(REFUSES, encoding="utf-8")
    return f"{tmp_path / 'adapter.py'}:"


def test_the_certificate_as_json_as_a_file_and_as_a_screen(adapter, tmp_path):
    file = tmp_path / "made" / "certificate.json"
    screen = ppo("verify-engine", f"{adapter}engine", "--certificate", file, "--json")
    assert screen.code == 5
    result = json.loads(screen.out)
    assert result == json.loads(file.read_text(encoding="utf-8"))
    assert (result["engine"], result["status"]) == ("refuses", "fail")
    assert {"torch", "transformers", "python", "ppo-cli"} <= set(result["versions"])
    checks = {check["name"]: check for check in result["checks"]}
    assert list(checks) == [check.name for check in CHECKS]
    assert checks["kl_coef_acts"]["detail"] == "RuntimeError: no trainer here"
    assert (checks["kl_coef_acts"]["status"], checks["kl_coef_acts"]["measured"]) == ("fail", None)
    assert {check["status"] for check in checks.values()} == {"fail", "not checked"}

    screen = ppo("verify-engine", f"{adapter}engine")
    assert screen.code == 5
    assert "not checked: the trainer cannot resume" in screen.out
    assert "printed by the adapter" not in screen.out
    assert " pass" not in screen.out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("adapter", "names no factory"),
        ("none.py:engine", "There is no file none.py"),
        ("not_installed_here:engine", "ModuleNotFoundError"),
        ("{}nothing", "has no function 'nothing'"),
        ("{}incomplete", "has no name, version, abilities, training"),
        ("{}fails", "ValueError: nothing to return"),
        ("{}ends", "tried to end the program"),
        ("{}knows_too_much", "unknown ability: telepathy"),
    ],
)
def test_an_adapter_that_cannot_be_used(adapter, name, message):
    with pytest.raises(ConfigError, match=message):
        load_engine(name.format(adapter))


def test_every_check_says_what_how_tolerance_and_source():
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    page = (ROOT / "docs" / "verify-engine.md").read_text(encoding="utf-8")
    for check in CHECKS:
        assert "Tolerance:" in check.explanation, check.name
        assert check.source
        assert f"`{check.name}`" in page, check.name


@pytest.mark.parametrize(
    ("values", "advantages"),
    [
        # the score 2 on the last token: d1 = 2 - 1 = 1, d0 = 0.9 * 1 - 0.5 = 0.4, A0 = 0.4 + 0.9 * 0.8 * 1
        ([0.5, 1.0], [1.12, 1.0]),
        # on the step after it, worth 3: d2 = 2 - 3, d1 = 0.9 * 3 - 1 = 1.7, A1 = 1.7 - 0.72, A0 = 0.4 + 0.72 * 0.98
        ([0.5, 1.0, 3.0], [1.1056, 0.98]),
    ],
)
def test_expected_advantages_by_hand(values, advantages):
    settings = Settings(gamma=0.9, gae_lambda=0.8)
    found = expected_advantages(settings, Episode((3,), (4, EOS), 2.0), values, [0.0, 0.0])
    assert found.tolist() == pytest.approx(advantages)
    found = expected_advantages(settings, Episode((3,), (4, EOS), 2.0), values, [1.0, 0.0])
    assert found.tolist() == pytest.approx([advantages[0] - 1, advantages[1]])
