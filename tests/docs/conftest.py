"""Fixtures of these tests."""

from tests.helpers.fixtures import fp32_openvino, one_thread

__all__ = ["fp32_openvino", "one_thread"]
