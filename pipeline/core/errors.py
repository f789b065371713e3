"""Errors that a user can cause and fix; the command line turns them into one line and an exit code."""


class InputError(ValueError):
    """Wrong usage or input; the message names the problem and the value, and says what to do (exit code 2)."""


class RunError(RuntimeError):
    """A failure during a run, after results were already written (exit code 1)."""
