"""`InputError`, the exception for mistakes that the user can correct."""

__all__ = ["InputError"]


class InputError(ValueError):
    """Invalid data, configuration or argument; the message says what, where, what was expected and what to do.

    The command line prints it as one sentence and exits with 2; any other uncaught exception is a bug.
    """
