"""The shared token: the number of logins, whatever the network, the service and the other processes do."""

from __future__ import annotations

import pytest

from airflow_provider_123pan.account.fixed_token import FixedToken
from airflow_provider_123pan.exceptions import (
    Pan123CredentialsError,
    Pan123Error,
    Pan123LoginLimitError,
    Pan123RateLimitError,
    Pan123RedirectError,
    Pan123TokenError,
    Pan123UnavailableError,
)
from airflow_provider_123pan.service.flow import drive
from airflow_provider_123pan.service.protocol import Answer
from tests.unit.token_simulation import (
    TOKEN_NAME,
    Latency,
    Process,
    TokenSimulation,
    envelope,
    one_token,
    quick,
    slow,
)

MANY = 32
THREE_PROGRAMS, QUOTA = "more than three programs use this client ID", "a quota"
TOO_FREQUENT = envelope(429, "请求太频繁")


# -- the number of logins ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("login", [quick, slow])
@pytest.mark.parametrize("latency", [quick, slow])
@pytest.mark.parametrize("seed", range(12))
def test_all_processes_share_one_login_and_one_more_after_the_token_is_revoked(
    seed: int, latency: Latency, login: Latency
) -> None:
    simulation = TokenSimulation(seed, latency, login)
    processes = simulation.workers(MANY, seconds=400)
    assert simulation.run(300).service.logins == 1
    simulation.service.revoke_all()
    assert simulation.run().service.logins == 2
    assert one_token(processes) in simulation.service.alive
    assert not simulation.lock["held"]


def test_in_a_very_slow_network_there_is_one_login() -> None:
    for seed in range(10):
        simulation = TokenSimulation(seed, lambda dice: dice.uniform(4, 6))
        processes = simulation.workers(MANY)
        assert simulation.run(300).service.logins == 1
        one_token(processes)


def claimant(simulation: TokenSimulation) -> Process:
    """Return the process that logged in, in a history without crashes."""
    (found,) = [process for process in simulation.processes if "Send" in process.steps]
    return found


@pytest.mark.parametrize("seed", range(3))
def test_a_crash_at_any_step_costs_at_most_one_more_login(seed: int) -> None:
    simulation = TokenSimulation(seed)
    simulation.workers(8)
    steps = claimant(simulation.run()).steps
    number = simulation.processes.index(claimant(simulation))
    sent = steps.index("Send")
    stored = sent + 2  # the step between masks the token
    for half_step in range(2 * len(steps)):
        simulation = TokenSimulation(seed)
        processes = simulation.workers(8)
        crashed = processes.pop(number)
        crashed.dies_at = half_step / 2
        simulation.run()
        assert not crashed.ended
        one_token(processes)
        token_lost = sent < crashed.dies_at <= stored
        assert simulation.service.logins == 1 + token_lost, f"crash at {crashed.dies_at} of {steps}"


@pytest.mark.parametrize("seconds", [2, 8, 25, 100])
def test_a_pause_at_any_step_costs_at_most_one_more_login(seconds: float) -> None:
    simulation = TokenSimulation(0)
    simulation.workers(8)
    number = simulation.processes.index(claimant(simulation.run()))
    for step in range(len(claimant(simulation).steps)):
        simulation = TokenSimulation(0)
        processes = simulation.workers(8)
        processes[number].pause = (step, seconds)
        simulation.run()
        assert {process.error for process in processes} == {None}
        assert {process.result for process in processes} <= set(simulation.service.alive)
        # A second login is possible only if the lock became stale during the pause.
        assert simulation.service.logins <= (1 if seconds < 60 else 2)


def test_a_crash_before_the_login_is_not_counted_as_one() -> None:
    simulation = TokenSimulation(0)
    for _ in range(5):
        (crashed,) = simulation.workers(1)
        crashed.dies_at = 3  # while its lock record settles
        simulation.run(100)
    processes = simulation.workers(2)
    assert simulation.run().service.logins == 1
    one_token(processes)


# -- what the service and other programs do ------------------------------------------------------------------


def test_another_program_that_logs_in_leads_to_an_error_rather_than_a_storm_of_logins() -> None:
    simulation = TokenSimulation(0)
    processes = simulation.workers(MANY, seconds=500)
    foreign = 0

    def revoke() -> None:
        nonlocal foreign
        foreign += 3
        for _ in range(3):
            simulation.service.issue()
        if simulation.now < 500:
            simulation.at(5, revoke)

    simulation.at(5, revoke)
    simulation.run(500)
    for process in processes:
        assert isinstance(process.error, Pan123LoginLimitError)
        assert THREE_PROGRAMS in str(process.error)
        assert QUOTA in str(process.error)
        assert process.error.retryable
    assert simulation.run(600).service.logins - foreign == 3
    later = simulation.workers(2)
    simulation.run()
    one_token(later)  # the old logins no longer count


def test_the_process_that_logs_in_counts_its_logins_once() -> None:
    simulation = TokenSimulation(0)
    (process,) = simulation.workers(1, seconds=400)
    for after in (50, 100, 150):
        simulation.at(after, simulation.service.revoke_all)
    assert simulation.run().service.logins == 3
    assert isinstance(process.error, Pan123LoginLimitError)


def test_wrong_credentials_fail_every_process_and_count_as_no_login() -> None:
    simulation = TokenSimulation(0)
    simulation.service.refusal = envelope(1, "clientSecret is wrong")
    processes = simulation.workers(8)
    simulation.run()
    assert all(isinstance(process.error, Pan123CredentialsError) for process in processes)
    assert simulation.lock | {"holder": ""} == {"holder": "", "held": False, "logins": [], "answered": True}
    simulation.service.refusal = None
    processes = simulation.workers(2)
    simulation.run(10)
    one_token(processes)


def test_refused_logins_in_a_slow_network_do_not_look_like_an_unwritable_lock(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for seed in range(5):
        simulation = TokenSimulation(seed, slow)
        simulation.service.refusal = envelope(1, "clientSecret is wrong")
        simulation.workers(MANY)
        simulation.run()
        assert all(isinstance(process.error, Pan123CredentialsError) for process in simulation.processes)
    assert caplog.text == ""


def test_a_login_refused_for_its_rate_is_repeated() -> None:
    simulation = TokenSimulation(0)
    simulation.service.answers = [TOO_FREQUENT] * 3
    processes = simulation.workers(8)
    assert simulation.run().service.logins == 1
    one_token(processes)


def test_a_login_refused_for_its_rate_five_times_is_an_error() -> None:
    simulation = TokenSimulation(0)
    simulation.service.refusal = TOO_FREQUENT
    (process,) = simulation.workers(1)
    simulation.run()
    assert isinstance(process.error, Pan123RateLimitError)
    assert process.steps.count("Send") == 5
    assert not simulation.lock["held"]
    assert simulation.lock["logins"] == []


LIMIT_REACHED = envelope(401, "tokens number has exceeded the limit")


def test_a_login_refused_for_the_number_of_tokens_can_be_retried() -> None:
    simulation = TokenSimulation(0)
    simulation.service.refusal = LIMIT_REACHED
    processes = simulation.workers(3)
    simulation.run()
    for process in processes:
        assert type(process.error) is Pan123TokenError
        assert process.error.retryable
    assert not simulation.lock["held"]
    assert simulation.lock["logins"] == []


def test_a_login_refused_for_the_number_of_tokens_takes_the_token_that_was_stored_meanwhile() -> None:
    simulation = TokenSimulation(0)
    (first,) = simulation.workers(1)
    simulation.run()
    stored = simulation.variables.pop(TOKEN_NAME)

    def refuse() -> Answer:
        simulation.variables[TOKEN_NAME] = stored
        return LIMIT_REACHED

    simulation.service.log_in = refuse  # type: ignore[method-assign]
    (second,) = simulation.workers(1)
    simulation.run()
    assert "Send" in second.steps
    assert one_token([first, second])


REDIRECT = Answer(302, {"Location": "https://portal.example/"}, b"")


def test_a_redirected_login_is_repeated() -> None:
    simulation = TokenSimulation(0)
    simulation.service.answers = [REDIRECT] * 3
    processes = simulation.workers(8)
    assert simulation.run().service.logins == 1
    one_token(processes)


def test_a_login_that_is_redirected_for_good_is_an_error() -> None:
    simulation = TokenSimulation(0)
    simulation.service.refusal = REDIRECT
    (process,) = simulation.workers(1)
    simulation.run()
    assert isinstance(process.error, Pan123RedirectError)
    assert not process.error.retryable
    assert process.steps.count("Send") == 4


@pytest.mark.parametrize(("ambiguous", "attempts"), [(False, 8), (True, 3)])
def test_a_silent_login_host_is_not_mistaken_for_other_programs(ambiguous: bool, attempts: int) -> None:
    simulation = TokenSimulation(0)
    simulation.service.refusal = Pan123UnavailableError("no answer", ambiguous=ambiguous, call="login")
    processes = simulation.workers(8)
    simulation.run()
    assert sum("Send" in process.steps for process in processes) == attempts  # an ambiguous login counts
    for process in processes:
        assert isinstance(process.error, Pan123Error)
        assert process.error.retryable
        assert THREE_PROGRAMS not in str(process.error)
        assert QUOTA not in str(process.error)
        assert "no answer" in str(process.error)


def test_a_fixed_token_is_never_renewed() -> None:
    fixed = FixedToken("fixed")
    assert fixed.cached(None) == "fixed"
    assert fixed.cached("fixed") is None
    with pytest.raises(Pan123TokenError, match="replace access_token"):
        drive(fixed.obtain("fixed"), lambda step: None)
