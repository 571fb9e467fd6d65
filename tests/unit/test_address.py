"""Callback URLs and read tokens: which are valid, and for how long."""

from __future__ import annotations

import random
import string
from pathlib import Path

import pytest

from airflow_provider_123pan.callbacks import address
from airflow_provider_123pan.callbacks.address import (
    callback_address,
    claimed_connection_id,
    make_callback_url,
    make_read_token,
    mask_tokens,
    new_callback_id,
    secret_keys,
    verify_callback_token,
    verify_read_token,
)
from airflow_provider_123pan.exceptions import Pan123InputError

BASE = "https://airflow.example.com"
SECRET = "a client secret of some length"
KEYS = secret_keys(SECRET, None)
DAY = 86400.0
ODD_IDS = ["pan123_default", "team/a", "a:b#c\\d", "图床", "ü" * 60, "x", "a b", "(!)-.", "𝕏"]


def token_of(url: str) -> str:
    """Return the token of a callback URL."""
    before, found, token = url.partition("/pan123/callbacks/")
    assert before == BASE
    assert found
    return token


@pytest.mark.parametrize("conn_id", ODD_IDS)
def test_a_callback_url_identifies_its_connection_and_its_submission(conn_id: str) -> None:
    callback_id = new_callback_id()
    made = make_callback_url(BASE, conn_id, callback_id, KEYS)
    token = token_of(made)
    assert len(made) < 512
    assert set(token) <= set(string.ascii_letters + string.digits + "-_.")
    assert claimed_connection_id(token) == conn_id
    assert verify_callback_token(token, KEYS, DAY) == callback_id


def test_a_callback_id_is_32_random_hex_digits() -> None:
    ids = {new_callback_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(made) == 32 and set(made) <= set("0123456789abcdef") for made in ids)


def test_a_slash_at_the_end_of_the_base_url_is_ignored() -> None:
    assert "com/pan123/" in make_callback_url(f"{BASE}/", "a", new_callback_id(), KEYS)


def test_the_helper_for_tests_makes_a_valid_callback_url() -> None:
    callback_id = new_callback_id()
    made = callback_address(BASE, "a", callback_id, client_secret=SECRET)
    assert verify_callback_token(token_of(made), KEYS, DAY) == callback_id
    other = callback_address(
        BASE, "a", callback_id, client_secret=SECRET, callback_secret="another secret, long"
    )
    assert verify_callback_token(token_of(other), KEYS, DAY) is None


# --- forgery ------------------------------------------------------------------------------------------


def test_a_changed_or_missing_character_invalidates_a_token() -> None:
    token = token_of(make_callback_url(BASE, "pan123_default", new_callback_id(), KEYS))
    for position, character in enumerate(token):
        for other in string.ascii_letters + string.digits + "-_./":
            if other != character:
                changed = token[:position] + other + token[position + 1 :]
                assert verify_callback_token(changed, KEYS, DAY) is None, changed
        assert verify_callback_token(token[:position] + token[position + 1 :], KEYS, DAY) is None
        assert verify_callback_token(token[:position], KEYS, DAY) is None
    for longer in (token + "A", token + "=", token + "\n", "A" + token, token + ".A", token + token):
        assert verify_callback_token(longer, KEYS, DAY) is None


def test_a_signature_has_only_one_valid_spelling() -> None:
    for _ in range(50):
        token = token_of(make_callback_url(BASE, "a", new_callback_id(), KEYS))
        spellings = [token[:-1] + last for last in string.ascii_letters + string.digits + "-_"]
        assert [spelling for spelling in spellings if verify_callback_token(spelling, KEYS, DAY)] == [token]


def test_a_token_of_another_connection_or_submission_cannot_be_composed() -> None:
    one, two = (
        token_of(make_callback_url(BASE, "one", new_callback_id(), KEYS)).split(".") for _ in range(2)
    )
    other = token_of(make_callback_url(BASE, "other", new_callback_id(), KEYS)).split(".")
    assert verify_callback_token(".".join([other[0], *one[1:]]), KEYS, DAY) is None
    assert verify_callback_token(".".join([one[0], two[1], *one[2:]]), KEYS, DAY) is None
    assert verify_callback_token(".".join([*one[:2], two[2] + "A", one[3]]), KEYS, DAY) is None


def test_a_token_is_invalid_under_another_key() -> None:
    token = token_of(make_callback_url(BASE, "a", new_callback_id(), KEYS))
    assert verify_callback_token(token, secret_keys("another secret of some length", None), DAY) is None
    assert verify_callback_token(token, (SECRET.encode(),), DAY) is None


def test_a_token_of_an_older_version_is_invalid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "_CALLBACK_SALT", b"airflow-provider-123pan callback v0")
    token = token_of(make_callback_url(BASE, "a", new_callback_id(), KEYS))
    assert verify_callback_token(token, KEYS, DAY)
    monkeypatch.undo()
    assert verify_callback_token(token, KEYS, DAY) is None


@pytest.mark.parametrize(
    "token", ["", ".", "...", "a.b.c.d", "A" * 600, "%00", "图床", "=.=.=", "A" * 10_000_000]
)
def test_nonsense_claims_no_connection(token: str) -> None:
    assert claimed_connection_id(token) is None
    assert verify_callback_token(token, KEYS, DAY) is None
    assert not verify_read_token(token, KEYS)


def test_random_tokens_of_the_right_shape_are_invalid() -> None:
    letters = string.ascii_letters + string.digits + "-_"
    for _ in range(2000):
        name = "".join(random.choices(letters, k=random.randint(2, 80)))
        token = f"{name}.{new_callback_id()}.awTC_w.{''.join(random.choices(letters, k=42))}A"
        claimed = claimed_connection_id(token)
        assert claimed is None or (claimed.isprintable() and len(claimed) <= 250)
        assert verify_callback_token(token, KEYS, DAY) is None


# --- time ---------------------------------------------------------------------------------------------


def test_callback_urls_and_read_tokens_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_800_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    token, read = token_of(make_callback_url(BASE, "a", new_callback_id(), KEYS)), make_read_token("a", KEYS)
    for later, callback, reading in (
        (0, True, True),
        (600, True, True),
        (601, True, False),
        (DAY, True, False),
        (DAY + 1, False, False),
        (-300, True, True),  # the receiver's clock is behind
        (-301, False, False),
    ):
        monkeypatch.setattr("time.time", lambda later=later: now + later)
        assert bool(verify_callback_token(token, KEYS, DAY)) is callback
        assert verify_read_token(read, KEYS) is reading


# --- rotation -----------------------------------------------------------------------------------------


def test_secrets_can_be_rotated() -> None:
    old, new = "the old secret, long enough", "the new secret, long enough"
    before, during, after = (secret_keys(SECRET, secrets) for secrets in (old, [new, old], new))
    token = token_of(make_callback_url(BASE, "a", new_callback_id(), before))
    assert verify_callback_token(token, during, DAY)
    assert verify_callback_token(token, after, DAY) is None
    newer = token_of(make_callback_url(BASE, "a", new_callback_id(), during))
    assert verify_callback_token(newer, after, DAY)
    assert verify_callback_token(newer, before, DAY) is None
    assert verify_read_token(make_read_token("a", before), during)
    assert verify_read_token(make_read_token("a", during), after)


@pytest.mark.parametrize("nothing", [None, "", [], [""]])
def test_the_client_secret_signs_without_a_callback_secret(nothing: str | list[str] | None) -> None:
    assert secret_keys(SECRET, nothing) == KEYS


def test_keys_do_not_contain_the_secret() -> None:
    assert all(len(key) == 32 and SECRET.encode() not in key for key in KEYS)
    assert secret_keys(f" {SECRET}\n", None) == KEYS


@pytest.mark.parametrize(
    ("client_secret", "callback_secret"),
    [("", None), ("short", None), (SECRET, "fifteen letters"), (SECRET, ["long enough, this one", "short"])],
)
def test_the_error_for_a_short_secret_names_the_field(
    client_secret: str, callback_secret: str | list[str] | None
) -> None:
    with pytest.raises(Pan123InputError, match="callback_secret") as caught:
        secret_keys(client_secret, callback_secret)
    assert "fifteen" not in str(caught.value)
    assert "long enough" not in str(caught.value)


@pytest.mark.parametrize("wrong", [5, {"a": 1}, [SECRET, 5], True])
def test_the_error_for_a_secret_that_is_no_string_names_the_field(wrong: object) -> None:
    with pytest.raises(Pan123InputError, match="^callback_secret: must be a string"):
        secret_keys(SECRET, wrong)  # type: ignore[arg-type]


# --- the two kinds ------------------------------------------------------------------------------------


def test_a_token_of_one_kind_does_not_work_as_the_other() -> None:
    callback = token_of(make_callback_url(BASE, "a", new_callback_id(), KEYS))
    read = make_read_token("a", KEYS)
    assert claimed_connection_id(read) == "a"
    assert verify_read_token(read, KEYS)
    assert verify_callback_token(read, KEYS, DAY) is None
    assert not verify_read_token(callback, KEYS)
    name, callback_id, moment, signature = callback.split(".")
    assert not verify_read_token(f"{name}.{moment}.{signature}", KEYS)
    assert verify_callback_token(f"{name}.{callback_id}.{read.split('.', 1)[1]}", KEYS, DAY) is None


# --- length -------------------------------------------------------------------------------------------


def test_the_error_for_a_long_callback_url_names_the_field() -> None:
    made = make_callback_url(BASE, "x" * 250, new_callback_id(), KEYS)
    assert len(made) <= 511
    room = 511 - len(made)
    assert len(make_callback_url(BASE + "y" * room, "x" * 250, new_callback_id(), KEYS)) == 511
    with pytest.raises(Pan123InputError, match="callback_base_url"):
        make_callback_url(BASE + "y" * (room + 1), "x" * 250, new_callback_id(), KEYS)


@pytest.mark.parametrize("conn_id", ["", " a", "a ", "x" * 251, "a\nb", "\0", "\ud800"])
def test_an_invalid_connection_id_gets_no_callback_url(conn_id: str) -> None:
    with pytest.raises(Pan123InputError, match="connection id"):
        make_callback_url(BASE, conn_id, new_callback_id(), KEYS)


def test_callback_urls_need_neither_airflow_nor_a_database() -> None:
    for name in ("address", "delivery"):
        text = (Path(address.__file__).parent / f"{name}.py").read_text(encoding="utf-8")
        assert "airflow." not in text
        assert "sqlalchemy" not in text


def test_masking_takes_time_in_proportion_to_the_length() -> None:
    """Any client of the API server can send long paths. The second one would take minutes if time grew squared."""
    for text in ("a" * 60_000, "a." * 1_000_000, "a-" * 1_000_000, "a" * 2_000_000 + "/"):
        assert mask_tokens(text) == text
