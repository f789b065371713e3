"""Tiny models run on one thread: handing their work to a second takes longer than doing it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[int]:
    """Gives the number of threads that torch would use, for the tests whose models are large."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield threads
    torch.set_num_threads(threads)
