"""Every check fails a trainer that has the fault it is for."""

import pytest

from ppo_cli.conformance import repeat_checks, reward_checks, update_checks
from ppo_cli.conformance.own_engine import OwnEngine
from ppo_cli.conformance.trainings import Trainings
from ppo_cli.conformance.verify import CHECKS
from tests.conformance import faulty_trainers as faults

CAUGHT = (
    (reward_checks.kl_coef_acts, faults.NoPenalty),
    (update_checks.kl_penalty_per_token, faults.NoPenalty),
    (update_checks.kl_penalty_per_token, faults.PenaltyOnTheScore),
    (reward_checks.reference_frozen, faults.ReferenceFollows),
    (update_checks.gae_over_tokens, faults.OneAdvantagePerAnswer),
    (update_checks.gae_over_tokens, faults.ScoreOnPadding),
    (update_checks.whitening_over_tokens, faults.WhitenedOverTheRow),
    (reward_checks.eos_gets_credit, faults.WithoutEos),
    (reward_checks.eos_gets_credit_where_it_pads, faults.MaskOfUnequalToPad),
    (repeat_checks.padding_is_inert, faults.LearnsPadding),
    (update_checks.statistics_leave_out_padding, faults.DilutedStatistics),
    (update_checks.clipping_acts, faults.NoClipping),
    (update_checks.dual_clip_acts, faults.NoDualClip),
    (update_checks.dual_clip_acts, faults.DualClipOfGoodTokens),
    (update_checks.first_ratio_is_one, faults.OldLogprobsAtTemperatureOne),
    (update_checks.accumulation_is_exact, faults.MeanPerMicroBatch),
    (update_checks.accumulation_is_exact, faults.StepPerMicroBatch),
    (update_checks.gradient_norm_is_limited, faults.NoNormLimit),
    (reward_checks.bad_score_is_refused, faults.LearnsWhateverItIsGiven),
    (repeat_checks.generation_settings_are_inert, faults.TakesGenerationSettings),
    (repeat_checks.seed_is_exact, faults.GlobalMinibatches),
    (repeat_checks.seed_acts, faults.IgnoresTheSeed),
    (repeat_checks.observer_is_inert, faults.SeedsOnce),
    (repeat_checks.resume_is_exact, faults.ForgetsMoments),
)


def engine_of(fault):
    return fault() if issubclass(fault, OwnEngine) else faults.Faulty(fault)


@pytest.mark.parametrize(("check", "fault"), CAUGHT, ids=[f"{check.name}-{fault.__name__}" for check, fault in CAUGHT])
def test_the_fault_is_caught(check, fault, tmp_path):
    result = check.run(Trainings(engine_of(fault), tmp_path))
    assert result.status == "fail", result
    assert result.detail == ""  # it measured a number, and did not fall over
    assert result.measured is not None


def test_every_check_has_a_fault_that_it_catches():
    assert {check.name for check, _ in CAUGHT} == {check.name for check in CHECKS}


def test_a_mask_of_what_differs_from_padding_passes_where_padding_is_a_token_of_its_own(tmp_path):
    trainings = Trainings(faults.Faulty(faults.MaskOfUnequalToPad), tmp_path)
    assert reward_checks.eos_gets_credit.run(trainings).status == "pass"
