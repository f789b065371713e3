"""Damages files at random, as disks, power failures and editors do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

#: Texts that parsers stumble over.
_TEXTS = (
    *(b"\0", b"\xff\xfe", b"\xc3", b'"', b",", b"\n", b"\r", b"-", b".", b"[" * 5000, b"{", b"}", b"null", b"nan"),
    *(
        b"inf",
        b"1e999",
        b"9" * 20,
        b"9" * 5000,
        b"-1",
        b"0",
        b"true",
        b"\\ud800",
        b"\xef\xbb\xbf",
        b"\xff\xff\xff\xff",
    ),
)

#: For a test with `Damage`: a second in the quick suite; `make fuzz` sets FUZZ_EXAMPLES.
fuzz = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "40")),
    deadline=None,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)


class Damage(NamedTuple):
    """A change of some bytes of a file.

    Attributes:
        place: share of the file at which it begins, in [0, 1].
        removed: number of bytes that are removed there.
        put: bytes that are put there.
    """

    place: float
    removed: int
    put: bytes

    def of(self, data: bytes) -> bytes:
        """Return the damaged data."""
        at = int(self.place * len(data))
        return data[:at] + self.put + data[at + self.removed :]

    def apply(self, path: Path) -> None:
        """Damage a file."""
        path.write_bytes(self.of(path.read_bytes()))


_zeroed = st.sampled_from((1, 4, 8, 16, 64, 512)).map(lambda count: (count, bytes(count)))
_lost = st.sampled_from((1, 4, 8, 16, 100, 10**9)).map(lambda count: (count, b""))
_changed = st.binary(min_size=1, max_size=8).map(lambda put: (len(put), put))
_texts = st.tuples(st.sampled_from((0, 1, 4, 20)), st.sampled_from(_TEXTS))

#: One damage to a file.
damages = st.builds(
    lambda place, change: Damage(place, *change),
    st.floats(0, 1, allow_subnormal=False),
    st.one_of(_zeroed, _lost, _changed, _texts),
)
