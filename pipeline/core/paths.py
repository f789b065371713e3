"""The location of the files that come with the program."""

from pathlib import Path

#: The folder with `configs`, `demo`, `weights` and the packages.
PROJECT_ROOT = Path(__file__).resolve().parents[2]
