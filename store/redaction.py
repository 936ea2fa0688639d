"""Secrets in foreign text, masked: for memories, exports, logs and notices alike.

What a secret is goes by its own shape (`sk-…`, `ghp_…`, a private key) or by the name that it is given to
(`PASSWORD=…`, `"api_key": "…"`). Hashes, ids, paths, code and placeholders stay as they are.

Every repetition is bounded, or possessive with nothing after it that can fail beyond a bound: the time is
linear in the length of the text, whatever it holds.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

# Where a token begins: not within a word, though an escape, a colour code or a percent code is no word.
_BEGIN: Final = (
    r"(?=[AGSdeghlnprswxy])"
    r"(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt])|(?<=\\u[0-9A-Fa-f]{4})|(?<=[\[;]\dm)|(?<=[\[;]\d\dm)|(?<=%[0-9A-F]{2}))"
)
_TOKEN: Final = r"[A-Za-z0-9_-]"

# What is given to a name: in quotes, or bare, up to where a shell or a language ends it.
_QUOTE: Final = r"\\{0,3}[\"'`]"
_QUOTED: Final = r"[^\s\"'`\\]"
_BARE: Final = r"[^\s\"'`\\,;&|<>()\[\]{}]"
_GIVES: Final = rf"(?:{_QUOTE}\]?)?[^\S\n]{{0,4}}(?:=>|:=|[:=])[^\S\n]{{0,4}}"
_PLACEHOLDER: Final = (
    r"[$<{*\[(%@/~]|\.{1,2}/|(?i:x{4}|your|example|changeme"
    r"|(?:string|password|secret|required|optional|undefined|hidden)\b)"
)
_CODE: Final = r"[A-Za-z_]\w{0,40}(?:(?:\.|::|->)\w{1,40}){1,5}(?![\w./+=-])|[\w.:]{1,64}[(\[]"
_LITERAL: Final = rf"(?!{_PLACEHOLDER}|{_CODE})"
_MIXED: Final = rf"(?={_BARE}{{0,64}}?[0-9])(?={_BARE}{{0,64}}?[A-Za-z])"

_PASSWORD: Final = r"[Pp](?i:ass(?:word|wd|phrase|code))(?:[_-]?(?i:hash|value)){0,2}"
_SECRET: Final = (
    r"(?=[AaCcEeKPpSsTt])"
    r"(?:(?i:secret|token|credential|(?:api|access|private|signing|encryption|auth)[_-]?key)s?|(?<=[A-Z]_)KEY)"
    r"(?:[_-]?(?i:access|key|base|value|hash)){0,3}"
)

_KEY_TYPE: Final = r"[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
_KEY_LINES: Final = r"(?:(?:\s|\\[nrt]|[\"'+|>#,])*+[A-Za-z0-9+/=]{16,}+)*+"

# Of each of these, what stands in the named group is masked, and called by its name.

# Whole up to the next five dashes; one that was cut, as far as its lines go.
_PRIVATE_KEY: Final = (
    rf"(?P<private_key>-----BEGIN {_KEY_TYPE}"
    rf"(?:(?:[^-]|-(?!----))*+-----END {_KEY_TYPE}|{_KEY_LINES}))"
)
# A run that no word is made of tells a key from a name with dashes.
_API_KEY: Final = (
    rf"(?P<api_key>sk-(?={_TOKEN}{{0,64}}?(?:[A-Za-z0-9]{{20}}|(?=[A-Za-z]{{0,11}}[0-9])[A-Za-z0-9]{{12}}))"
    rf"{_TOKEN}++)"
)
_GITHUB_TOKEN: Final = r"(?P<github_token>(?:gh[opsru]_|github_pat_)[A-Za-z0-9_]{20,}+)"
_AWS_KEY: Final = r"(?P<aws_key>A[KS]IA[A-Z0-9]{16}(?![A-Za-z0-9]))"
_OTHER_TOKEN: Final = (
    r"(?P<token>(?:[sr]k_(?:live|test)_|whsec_|AIza|ya29\.|GOCSPX-|gl(?:pat|rt|dt|ptt)-|npm_|pypi-|hf_|gsk_"
    r"|xai-|dckr_pat_|do[opr]_v1_|shp(?:at|ss|ca|pa)_|lin_api_|hvs\.|SG\.|xapp-|xox[abeoprs]-)"
    rf"(?=[A-Za-z_-]{{0,40}}[0-9]){_TOKEN}{{16,}}+(?:\.{_TOKEN}++)?+)"
)
# None begins after a dash, or each of many in one word would be tried to its end.
_WEB_TOKEN: Final = rf"(?P<web_token>(?<![_-])eyJ{_TOKEN}{{10,}}+\.eyJ{_TOKEN}{{5,}}+(?:\.{_TOKEN}*+)?+)"

_URL: Final = r"://[^\s/:@\"'`<>?#]{0,100}:(?P<url_password>(?![$<{*\[%])[^\s/\"'`<>]{1,512})(?=@)"
_AUTHORIZATION: Final = (
    rf"[Aa](?i:uthorization){_GIVES}(?:{_QUOTE})?(?i:basic|bearer|token)[ ]"
    rf"(?P<authorization>{_LITERAL}[A-Za-z0-9._~+/=-]{{8,}}+)"
)
_BEARER: Final = (
    r"[Bb](?i:earer)[ ]"
    rf"(?P<bearer_token>{_LITERAL}(?=[^\s0-9]{{0,64}}[0-9])[A-Za-z0-9._~+/=-]{{16,}}+)"
)
_QUOTED_PASSWORD: Final = (
    rf"(?:{_PASSWORD}{_GIVES}|PASS=){_QUOTE}"
    rf"(?P<quoted_password>(?!{_PLACEHOLDER})(?={_QUOTED}{{6,200}}{_QUOTE}){_QUOTED}++)"
)
_BARE_PASSWORD: Final = (
    rf"(?:{_PASSWORD}{_GIVES}(?={_BARE}{{0,64}}?[0-9!#^*+?~])|PASS(?:WORD|WD|PHRASE)?=)"
    rf"(?P<password>{_LITERAL}{_BARE}{{6,}}+)"
)
_NAMED_SECRET: Final = (
    rf"(?:{_SECRET}{_GIVES}(?={_QUOTE}?{_BARE}{{12}})"
    r"|--[a-z-]{0,30}(?:password|passphrase|secret|token|api-key)[ ])"
    rf"(?:{_QUOTE})?(?P<secret>{_LITERAL}{_MIXED}{_BARE}{{6,}}+)"
)

_SECRETS: Final = re.compile(
    rf"{_PRIVATE_KEY}|{_BEGIN}(?:{_API_KEY}|{_GITHUB_TOKEN}|{_AWS_KEY}|{_OTHER_TOKEN}|{_WEB_TOKEN})"
    rf"|{_URL}|{_AUTHORIZATION}|{_BEARER}|{_QUOTED_PASSWORD}|{_BARE_PASSWORD}|{_NAMED_SECRET}"
)

# One of these, in small letters, is in whatever the above finds; to look for them costs a fifth.
_SIGNS: Final = (
    *("sk-", "gho_", "ghp_", "ghr_", "ghs_", "ghu_", "github_pat_", "akia", "asia", "eyj"),
    *("k_live_", "k_test_", "whsec_", "aiza", "ya29.", "gocspx-", "glpat-", "glrt-", "gldt-", "glptt-"),
    *("npm_", "pypi-", "hf_", "gsk_", "xai-", "dckr_pat_", "_v1_", "shpat_", "shpss_", "shpca_", "shppa_"),
    *("lin_api_", "hvs.", "sg.", "xapp-", "xox", "@", "uthorization", "earer "),
    *("assword", "asswd", "assphrase", "asscode", "pass=", "secret", "token", "credential"),
    *("_key", "-key", "apikey", "accesskey", "privatekey", "signingkey", "encryptionkey", "authkey"),
)

# A private key of which only the end is there, read backwards.
_KEY_END: Final = re.compile(
    r"-----(?:KCOLB )?YEK ETAVIRP[A-Z0-9 ]{0,40} DNE-----"
    r"(?:(?:\s|[nrt]\\|[\"'+|>#,])*+[A-Za-z0-9+/=]{16,}+)++"
)

_WORDS: Final = {"quoted_password": "password", "url_password": "password"}


def redact(text: str, on_secret: Callable[[str, str], None] | None = None) -> str:
    """Return the text with each secret as `[redacted: kind]`; text that was redacted stays as it is.

    `on_secret` is told the kind of each, and the secret itself.
    """

    def mask(match: re.Match[str]) -> str:
        group = match.lastgroup or ""
        kind = _WORDS.get(group, group.replace("_", " "))
        if on_secret is not None:
            on_secret(kind, match[group])
        return f"{match.string[match.start() : match.start(group)]}[redacted: {kind}]"

    def mask_reversed(match: re.Match[str]) -> str:
        if on_secret is not None:
            on_secret("private key", match[0][::-1])
        return "[redacted: private key]"[::-1]

    pieces: list[str] = []
    at = 0
    for begin, end in _suspect(text):
        pieces += [text[at:begin], _SECRETS.sub(mask, text[begin:end])]
        at = end
    text = "".join([*pieces, text[at:]])
    if "PRIVATE KEY-----" in text or "PRIVATE KEY BLOCK-----" in text:
        text = _KEY_END.sub(mask_reversed, text[::-1])[::-1]
    return text


def _suspect(text: str) -> list[tuple[int, int]]:
    """Where a secret may stand: lines with a sign of one, for only a private key has several lines."""
    small = text.lower()
    # Of a letter whose small form is two, what follows would be looked for in the wrong place.
    if "-----BEGIN " in text or len(small) != len(text):
        return [(0, len(text))]
    lines: set[tuple[int, int]] = set()
    for sign in _SIGNS:
        found = small.find(sign)
        while found >= 0:
            end = text.find("\n", found)
            end = len(text) if end < 0 else end
            lines.add((text.rfind("\n", 0, found) + 1, end))
            found = small.find(sign, end)
    return sorted(lines)
