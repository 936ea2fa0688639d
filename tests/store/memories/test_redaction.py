from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import redaction
from store.redaction import redact

KEY_LINE = "MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfnygWyF8PbnGy0AHB7MhgwMbRvI0MBZhpI"

SECRETS = [
    ("sk-proj-abcdefghijklmnopqrstuvwxyz0123456789", "[redacted: api key]"),
    ("sk-ant-api03-AbCdEfGhIjKl_MnOp-QrStUvWx1234567890abcdefXYZ", "[redacted: api key]"),
    (r"the key:\nsk-1234567890abcdef1234567890abcdef\n", r"the key:\n[redacted: api key]\n"),
    ("\x1b[32msk-1234567890abcdef1234567890abcdef\x1b[0m", "\x1b[32m[redacted: api key]\x1b[0m"),
    ("ghp_0123456789abcdef0123456789abcdef0123", "[redacted: github token]"),
    ("github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz0123456789", "[redacted: github token]"),
    ("AKIAIOSFODNN7EXAMPLE", "[redacted: aws key]"),
    ("xoxb-1234567890-abcdefghij", "[redacted: token]"),
    ("glpat-abcdefghij1234567890", "[redacted: token]"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefABCDEF12345", "[redacted: web token]"),
    ("Authorization: Bearer abcdef1234567890", "Authorization: Bearer [redacted: authorization]"),
    ("'Authorization: Basic dXNlcjpwYXNzd29yZA=='", "'Authorization: Basic [redacted: authorization]'"),
    ("postgres://app:hunter2@db.example/x", "postgres://app:[redacted: password]@db.example/x"),
    ("redis://:s3cr3t@localhost:6379", "redis://:[redacted: password]@localhost:6379"),
    ("https://user:p@ss@host/path", "https://user:[redacted: password]@host/path"),
    ("DB_PASSWORD=swordfish", "DB_PASSWORD=[redacted: password]"),
    ("DB_PASS='swordfish'", "DB_PASS='[redacted: password]'"),
    ('password = "hunter"', 'password = "[redacted: password]"'),
    (r"{\"password\": \"hunter22\"}", r"{\"password\": \"[redacted: password]\"}"),
    ('config["password"] = "hunter22"', 'config["password"] = "[redacted: password]"'),
    ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfi", "AWS_SECRET_ACCESS_KEY=[redacted: secret]"),
    ("api_key: 'abcdef1234567890'", "api_key: '[redacted: secret]'"),
    ("tool --auth-token abcdef123456 run", "tool --auth-token [redacted: secret] run"),
    (
        f"a\n-----BEGIN RSA PRIVATE KEY-----\n{KEY_LINE}\n-----END RSA PRIVATE KEY-----\nb",
        "a\n[redacted: private key]\nb",
    ),
    (rf"-----BEGIN PRIVATE KEY-----\n{KEY_LINE}\n{KEY_LINE}", "[redacted: private key]"),
    (f"a {KEY_LINE}\n{KEY_LINE}\n-----END PRIVATE KEY-----\n", "a [redacted: private key]\n"),
    ("-----BEGIN PRIVATE KEY----- is its first line.", "[redacted: private key] is its first line."),
]

ORDINARY = [
    "the task-runner writes disk-usage-of-machine-20240131 and risk-1234567890abcdef1234",
    "sk-cube-grid sk-notification-settings sk-estimator-id-12",
    "01a20586-9aae-7433-b4a9-eff635fa58a2 6a1f2c3d4e5f60718293a4b5c6d7e8f901234567",
    "/home/dev/ws-ünï çode/tests/test_calc.py:12:5",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
    "password = get_password(); password=args.password2; password: str | None = None",
    'password=os.environ["DB_PASSWORD1"]',
    '{"password": {"type": "string"}}',
    '{"password": "string"}',
    'token = request.headers.get("x-token-1")',
    "token_count=123456789012 max_tokens: 150000, tokens: 12,345",
    "PASSWORD=$DB_PASSWORD postgres://app:$PGPASSWORD@db/x",
    "password: ${{ secrets.PASSWORD_1 }}",
    "Authorization: Bearer $TOKEN, Authorization: Bearer <your-token-here-1>",
    "https://example.com:8080/a@b http://host/path?x=a:b@c git@github.com:org/repo.git",
    "The password must be 8 characters long. Token 01a2 was refused.",
    "secret: /run/secrets/db-password-1",
    "Bearer authentication, with a basic understanding of it.",
    "class TokenBucketRateLimiter: secret_santa = 1",
]

HOSTILE = [
    *("sk-", "A_", "ghp_", "AKIA", "xoxb-", "eyJ", "-eyJ", r"\neyJabc", "eyJaaaaaaaaaa.", "\x1b[32m", "%3D"),
    *("-----BEGIN PRIVATE KEY-----", "-----BEGIN ", "-----END RSA PRIVATE KEY-----", f"{KEY_LINE}\n"),
    *("://a:", "://a:b@", "Bearer ", "authorization: bearer ", "--token ", "--", "secret_key_key_key="),
    *("token=", "token=a.b", "token=a1", "password=", "password='", "password: ", "PASSWORD=", r"\\\'", "é"),
    "[redacted: ",
]

FRAGMENTS = st.sampled_from(
    [
        *(secret for secret, _ in SECRETS),
        *(
            "sk-",
            "ghp_0123456789",
            "password",
            "token",
            "=",
            ": ",
            "'",
            '"',
            "]",
            "[",
            "@",
            "://a:",
            "\\n",
            " ",
        ),
        *(
            "[redacted: secret]",
            "[redacted: password]",
            "-----BEGIN PRIVATE KEY-----",
            "-----END PRIVATE KEY-----",
        ),
        *("-", "_", ".", "abc123def456", "AKIAIOSFODNN7EXAMPLE", "Bearer ", "authorization", "\n"),
    ]
)


@pytest.mark.parametrize(("text", "masked"), SECRETS)
def test_a_secret_is_masked_and_what_is_about_it_stays(text: str, masked: str) -> None:
    assert redact(text) == masked


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_stays(text: str) -> None:
    assert redact(text) == text


@given(st.lists(FRAGMENTS | st.text(max_size=5), max_size=14).map("".join))
def test_a_second_time_changes_nothing(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@given(
    st.lists(
        FRAGMENTS
        | st.sampled_from([text for text, _ in SECRETS])
        | st.sampled_from([" ", "\n", "\nİ", "x = 1\n", "TOKEN=", '"', "0a1b2c3d4e5f6a7b8c9d"])
        | st.text(max_size=5),
        max_size=14,
    ).map("".join)
)
def test_looking_only_where_a_sign_stands_finds_all(text: str) -> None:
    found: list[str] = []
    with_signs = redact(text, lambda _, secret: found.append(secret))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(redaction, "_suspect", lambda text: [(0, len(text))])
        everywhere: list[str] = []
        assert redact(text, lambda _, secret: everywhere.append(secret)) == with_signs
    assert found == everywhere


@given(
    st.sampled_from(["sk-proj-", "sk-", "ghp_", "github_pat_", "AKIA", "SECRET_TOKEN=", "x\\n"]),
    st.text(string.digits + string.ascii_uppercase, min_size=16, max_size=16),
    st.text(
        alphabet=st.characters(exclude_categories=("L", "N", "C"), exclude_characters="\\-_"), max_size=9
    ),
)
def test_a_key_is_masked_whatever_stands_about_it(prefix: str, random: str, about: str) -> None:
    key = f"{random[:8]}1B2C3D4E{random[8:]}"[: 16 if prefix == "AKIA" else None]
    if prefix == "x\\n":
        prefix = "x\\nsk-"
    assert key not in redact(f"{about}{prefix}{key}{about}")


@given(st.text(alphabet=string.ascii_lowercase + string.digits + " -_./\n", max_size=200))
def test_words_numbers_and_paths_are_never_secrets(text: str) -> None:
    ordinary = text.replace("sk-", "").replace("_", "-").replace("--", "")
    assert redact(ordinary) == ordinary


@pytest.mark.timeout(60)
@pytest.mark.parametrize("unit", HOSTILE)
def test_hostile_text_takes_no_more_than_its_length(unit: str) -> None:
    """With time that grows with the square of the length, this would run for hours."""
    once = redact(unit * (200_000 // len(unit)))
    assert redact(once) == once
