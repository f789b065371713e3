"""`python -m detectors`."""

from detectors.cli import main

if __name__ == "__main__":
    main()
