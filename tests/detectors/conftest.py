"""Fixtures of these tests."""

from tests.helpers.fixtures import fp32_openvino

__all__ = ["fp32_openvino"]
