"""Command line of the project; also installed as `mtmc`."""

from pipeline.cli import main

if __name__ == "__main__":
    main()
