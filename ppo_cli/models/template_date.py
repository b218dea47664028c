"""The date that chat templates write: always the same one.

Some templates put today's date into the system turn. Then the same prompt has other tokens tomorrow, and a run could be
resumed or evaluated on the day of its start only.

Not here: rendering (`loading`).
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Self

from transformers.utils import chat_template_utils

DATE = (2024, 7, 26)
"""Year, month and day that a template reads as today; such templates write this day where they know no clock."""


class _FixedDate(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls(*DATE, tzinfo=tz)


def fix_template_date() -> None:
    """Lets `strftime_now` in the chat templates of this process give the fixed date.

    transformers takes no such function as an argument of a template, so its clock is replaced.
    """
    chat_template_utils.datetime = _FixedDate
