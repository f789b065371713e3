"""JSON as the converters write it."""

from __future__ import annotations

import json
from typing import Any


def json_bytes(content: Any) -> bytes:
    """Return JSON without spaces; ValueError for numbers that JSON does not have."""
    return (json.dumps(content, separators=(",", ":"), allow_nan=False) + "\n").encode()
