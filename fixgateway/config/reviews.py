"""``[reviews]`` of gateway.toml: the daily monitor for favouritism, and by when a review is overdue."""

from __future__ import annotations

from fixgateway.config.keys import Table, setting


class Reviews(Table):
    """Forensic reviews of the gateway's own records."""

    monitor_at: str = setting(
        "23:00",
        "local time (of the policy's time zone) at which the sequential monitor looks at the records every day, after "
        'closing marks have come; "off": it does not',
        '"HH:MM" or "off"',
        pattern=r"^(off|([01][0-9]|2[0-3]):[0-5][0-9])$",
    )
    plan: str = setting(
        "", 'review plan of the monitor, relative to this file; "": the shipped one', "a TOML file that exists"
    )
    every_days: int = setting(
        92,
        "a review that was not run for so many days is overdue: an alert a day, once people are recorded; 0: never",
        "a number from 0 to 3660",
        ge=0,
        le=3_660,
    )
    sign_days: int = setting(
        30,
        "a review that nobody has signed after so many days is overdue; 0: never",
        "a number from 0 to 3660",
        ge=0,
        le=3_660,
    )
