"""The prompts that engines are given: files beside this module, filled in."""

from __future__ import annotations

import re
from importlib import resources
from typing import Final

_PLACEHOLDER: Final = re.compile(r"\{\{([a-z_]+)\}\}")


def filled(name: str, **values: str) -> str:
    """The prompt `prompts/<name>.md` with each `{{word}}` replaced, in one pass: what values hold stays.

    Raises KeyError for a word without a value.
    """
    prompt = resources.files("store.memories").joinpath("prompts", f"{name}.md").read_text("utf-8")
    return _PLACEHOLDER.sub(lambda match: values[match[1]], prompt)
