"""`python -m detectors`."""

from pipeline.commands.detectors.app import main

if __name__ == "__main__":
    main()
