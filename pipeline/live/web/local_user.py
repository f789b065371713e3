"""Finds out which user of this machine is at the other end of a local connection."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LOCAL, _REMOTE, _USER = 1, 2, 7  # columns
_ROOT = 0


def can_tell_users() -> bool:
    """Return whether this system tells the users of connections; Linux does."""
    return _TABLES[0].exists()


def is_own_connection(client: tuple[str, int], server_port: int) -> bool:
    """Return whether a process of the user who runs this program, or of root, opened a local connection.

    Args:
        client: its address and port, as the server sees it.
    """
    return user_of(client, server_port) in (os.getuid(), _ROOT)


def user_of(client: tuple[str, int], server_port: int) -> int | None:
    """Return the id of the user who opened a local connection; None if it is unknown."""
    wanted = f"{_address(client[0])}:{client[1]:04X}"
    for table in _TABLES:
        try:
            lines = table.read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            columns = line.split()
            if columns[_LOCAL] == wanted and columns[_REMOTE].endswith(f":{server_port:04X}"):
                return int(columns[_USER])
    return None


def _address(text: str) -> str:
    """Return an address as the kernel prints it: words of 32 bits in the byte order of the machine."""
    packed = ipaddress.ip_address(text).packed
    words = (packed[start : start + 4] for start in range(0, len(packed), 4))
    return "".join(f"{int.from_bytes(word, 'little'):08X}" for word in words)
