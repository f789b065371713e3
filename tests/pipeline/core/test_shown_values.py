from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.shown_values import shown, visible, without_secrets


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Überwachung [red] {x} %s 入口 مدخل", "Überwachung [red] {x} %s 入口 مدخل"),
        ("a\x1b[2J\x07", r"a\x1b[2J\x07"),
        ("a\nerror: b", r"a\nerror: b"),
        ("a\0\x7f\x9b", r"a\x00\x7f\x9b"),
        ("gpj.\u202egpm", r"gpj.\u202egpm"),
        ("\udcff", r"\udcff"),
    ],
)
def test_control_characters_are_shown(text: str, expected: str) -> None:
    assert visible(text) == expected


def test_ends_of_lines_may_stay() -> None:
    assert visible("a\n\tb\r\x1b", keep_lines=True) == "a\n\tb" + r"\r\x1b"
