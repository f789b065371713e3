"""`python -m reid`: the same as `mtmc reid`."""

import sys

from pipeline.cli import main

if __name__ == "__main__":
    main(["reid", *sys.argv[1:]])
