"""Where the files are that come with the program."""

from pathlib import Path

#: The folder that holds `configs`, `demo`, `weights` and the packages.
PROJECT_ROOT = Path(__file__).resolve().parents[2]
