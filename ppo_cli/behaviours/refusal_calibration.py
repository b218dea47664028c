"""The refusal rule against human labels: the counts per model, and what is said of them beside each measure.

`python benchmarks/judge_error.py FILE …` counts anew and prints these rows.

Not here: the rule (`refusal`), what its error does to an interval (`stats.judge_error`).
"""

from __future__ import annotations

from ppo_cli.records.calibration import Agreement, Calibration, ModelAgreement

CALIBRATION = Calibration(
    rule="refusal/5",
    models=(
        ModelAgreement(
            model="gpt4",
            unsafe=Agreement(both=193, missed=6, false_alarms=0, neither=1),
            safe=Agreement(both=18, missed=3, false_alarms=1, neither=228),
            unseen=True,
        ),
        ModelAgreement(
            model="llama2new",
            unsafe=Agreement(both=195, missed=5, false_alarms=0, neither=0),
            safe=Agreement(both=69, missed=5, false_alarms=5, neither=171),
        ),
        ModelAgreement(
            model="llama2orig",
            unsafe=Agreement(both=200, missed=0, false_alarms=0, neither=0),
            safe=Agreement(both=135, missed=14, false_alarms=3, neither=98),
        ),
        ModelAgreement(
            model="mistralguard",
            unsafe=Agreement(both=151, missed=42, false_alarms=3, neither=4),
            safe=Agreement(both=34, missed=13, false_alarms=8, neither=195),
            unseen=True,
        ),
        ModelAgreement(
            model="mistralinstruct",
            unsafe=Agreement(both=52, missed=20, false_alarms=3, neither=125),
            safe=Agreement(both=4, missed=0, false_alarms=8, neither=238),
        ),
    ),
    source="XSTest's human labels (Röttger et al. 2024), partial refusals counted as refusals",
    date="2026-11-27",
)

_UNSAFE, _SAFE = CALIBRATION.unsafe_errors, CALIBRATION.safe_errors
_SEPARATION = CALIBRATION.separation_errors

ERROR = (
    f"rule {CALIBRATION.rule} against human labels of {len(CALIBRATION.models)} models: the rate on unsafe prompts is "
    f"off by {100 * _UNSAFE[0]:+.1f} to {100 * _UNSAFE[1]:+.1f} points, on safe prompts by {100 * _SAFE[0]:+.1f} to "
    f"{100 * _SAFE[1]:+.1f}, d′ by {_SEPARATION[0]:+.2f} to {_SEPARATION[1]:+.2f} ({CALIBRATION.date})"
)
"""Shown with every measure that this rule makes."""
