"""gateway.toml, policy.toml and accounts.csv together: everything the core reads from outside."""

from __future__ import annotations

import fixgateway
from fixgateway.config import accounts, policy, settings
from fixgateway.config.problems import Problem, refuse
from fixgateway.config.settings import Settings
from fixgateway.core.model import Account, BrokerSetup, Limits, OmsSetup, Policy, Setup


def load(given: Settings) -> Setup:
    """Read the policy and the accounts the settings name and build the core's setup.

    Raises:
        ConfigError: with every problem of both files.
    """
    rules, found = policy.read(given.policy_file)
    rows, more = accounts.read(given.accounts_file)
    refuse(found + more)
    if rules is None:  # no problems: there is a policy
        raise AssertionError("no policy and no problem")
    return build(given, rules, rows)


def problems(path: str) -> list[Problem]:
    """Every problem of gateway.toml and, once that is good, of the two files it names."""
    given, found = settings.read(path)
    if given is None:
        return found
    return policy.read(given.policy_file)[1] + accounts.read(given.accounts_file)[1]


def build(given: Settings, rules: Policy, rows: tuple[Account, ...]) -> Setup:
    """The core's setup from what was read; pure."""
    return Setup(
        engine_version=fixgateway.__version__,
        policy=rules,
        accounts=rows,
        omses=tuple(
            OmsSetup(x.comp_id, x.brokers, x.match, x.allocation_report, x.pass_allocation_ack) for x in given.oms
        ),
        brokers=tuple(
            BrokerSetup(
                name=x.comp_id,
                alloc_type=x.alloc_type,
                price_decimals=x.price_decimals,
                max_unacked_orders=x.max_unacked_orders,
                max_unacked_seconds=x.max_unacked_seconds,
                ack_timeout_seconds=x.ack_timeout_seconds,
                dont_know=x.dont_know,
            )
            for x in given.broker
        ),
        limits=Limits(given.limits.max_queue_seconds, given.limits.resend_seconds),
    )
