"""Numbers that are written for YAML."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.files.number_text import yaml_number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e-05, "1.0e-05"),
        (-2e-09, "-2.0e-09"),
        (1.5e-05, "1.5e-05"),
        (1e20, "1.0e+20"),
        (0.25, "0.25"),
        (-3.0, "-3"),
        (0.0, "0"),
        (1 / 3, "0.333333333333"),
    ],
)
def test_text(value: float, text: str) -> None:
    assert yaml_number(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False, max_value=1e300, min_value=-1e300))
def test_yaml_reads_the_number(value: float) -> None:
    read = yaml.safe_load(yaml_number(value))
    assert isinstance(read, int | float)
    assert read == pytest.approx(value, rel=1e-11, abs=0)
