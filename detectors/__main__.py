"""`python -m detectors`: the same as `mtmc detectors`."""

import sys

from pipeline.cli import main

if __name__ == "__main__":
    main(["detectors", *sys.argv[1:]])
