from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.shown_values import shown, without_secrets


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("hall", "'hall'"),
        ("u:Secret@10.0.0.1", "'***@10.0.0.1'"),
        ("see a@b u:Sec:ret@h", "'see a@b ***@h'"),
        ("x@y:Secret@h", "'x@***@h'"),
        ("password: Secret", "'password: ***'"),
        ("a" * 81, f"'{'a' * 80}...'"),
        (["Secret"], "a list with 1 value"),
        ({"Secret": 1, "b": 2}, "a mapping with 2 keys"),
        (3.5, "3.5"),
    ],
)
def test_values_are_shown_without_secrets(value: object, text: str) -> None:
    assert shown(value) == text


@given(st.text(alphabet="ab:@/ '", max_size=30))
def test_every_colon_between_a_word_and_an_at_sign_begins_a_password(text: str) -> None:
    assert re.search(r"[^\s/@'\"]+:[^\s'\"]*@", without_secrets(text).replace("***@", "")) is None


@pytest.mark.parametrize("text", ["a" * 100_000, "a:" * 50_000, "a:" + "b" * 100_000])
def test_a_long_text_is_shown_at_once(text: str) -> None:
    began_s = time.perf_counter()
    shown(text)
    assert time.perf_counter() - began_s < 1
