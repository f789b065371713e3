"""Errors that a user can cause and can mend; the command line turns them into one line and an exit code."""


class InputError(ValueError):
    """Bad usage or input: the message says what is wrong, with which value, and what to do (exit code 2)."""


class RunError(RuntimeError):
    """Something failed while running, after results were already written (exit code 1)."""
