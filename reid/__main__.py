"""`python -m reid`."""

from pipeline.commands.reid.app import main

if __name__ == "__main__":
    main()
