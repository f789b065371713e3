"""The command `mtmc`, also as `python -m mtmc`."""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """Run the command line; the packages of this project take precedence over others of the same name."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from pipeline.cli import main as run

    run()


if __name__ == "__main__":
    main()
