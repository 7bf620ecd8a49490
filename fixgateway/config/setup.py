"""gateway.toml, policy.toml and accounts.csv together: everything the core reads from outside."""

from __future__ import annotations

import fixgateway
from fixgateway.config import accounts, calendar, charges, exceptions, holdings, policy, settings
from fixgateway.config.policy_checks import account_problems, version_problem
from fixgateway.config.problems import Problem, refuse
from fixgateway.config.settings import Settings
from fixgateway.core.model import (
    RULES,
    Account,
    BrokerSetup,
    Calendar,
    ExceptionRules,
    Holding,
    Limits,
    OmsSetup,
    Policy,
    Setup,
)


def load(given: Settings) -> Setup:
    """Read the policy and the accounts the settings name and build the core's setup.

    Raises:
        ConfigError: with every problem of both files.
    """
    rules, found = policy.read(given.policy_file)
    rows, more = accounts.read(given.accounts_file)
    held, wrong = holdings.read(given.holdings_file, rows)
    codes, bad = exceptions.read(given.exceptions_file)
    refuse(found + more + wrong + bad + _together(given, rules, rows))
    if rules is None:  # no problems: there is a policy
        raise AssertionError("no policy and no problem")
    days, found = calendar.of_policy(rules, str(given.policy_file))
    refuse(found)
    return build(given, rules, rows, days, held, codes)


def problems(path: str) -> list[Problem]:
    """Every problem of gateway.toml and, once that is good, of the two files it names."""
    given, found = settings.read(path)
    if given is None:
        return found
    rules, found = policy.read(given.policy_file)
    rows, more = accounts.read(given.accounts_file)
    found += more + holdings.read(given.holdings_file, rows)[1] + _together(given, rules, rows)
    found += exceptions.read(given.exceptions_file)[1]
    return found if rules is None else found + calendar.of_policy(rules, str(given.policy_file))[1]


def _together(given: Settings, rules: Policy | None, rows: tuple[Account, ...]) -> list[Problem]:
    """What the policy says of accounts that the account file does not bear out; asked when both could be read."""
    if rules is None or not rows:
        return []
    found = list(account_problems(rules, {row.account: row for row in rows}, str(given.policy_file)))
    if rules.sellable and given.holdings_file is None:
        text = "is missing, and the policy says sellable = true: every sell would be refused"
        remedy = "name a holdings file, or write sellable = false"
        found.append(Problem(str(given.file), "policy.holdings", text, remedy))
    return found


def refuse_changed_text(given: Settings, rules: Policy, journaled: Policy | None) -> None:
    """Refuse to start with a policy whose text changed and whose version did not.

    Args:
        journaled: the policy of the same id and version as the journal has it, None when it has none.

    Raises:
        ConfigError: the texts differ.
    """
    refuse(version_problem(rules, journaled, str(given.policy_file)))


def build(
    given: Settings,
    rules: Policy,
    rows: tuple[Account, ...],
    days: Calendar | None = None,
    held: tuple[Holding, ...] = (),
    codes: ExceptionRules | None = None,
) -> Setup:
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
                final_timeout_seconds=x.final_timeout_seconds,
                confirmations=x.confirmations,
                price_tolerance=charges.amount_of(x.price_tolerance),
                money_tolerance=charges.amount_of(x.money_tolerance),
                commission=None if x.commission is None else charges.amount_of(x.commission),
                commission_type=charges.commission_type(x.commission_type),
                fees=tuple(fee.terms() for fee in x.fees),
                fills_from_cum=x.fills_from_cum,
                replace_accepted=x.replace_accepted,
            )
            for x in given.broker
        ),
        limits=Limits(given.limits.max_queue_seconds, given.limits.resend_seconds),
        money=True,
        life_cycle=True,
        calendar=days,
        rules=RULES,
        holdings=held,
        exceptions=codes,
        desk=True,
    )
