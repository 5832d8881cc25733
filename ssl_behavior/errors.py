"""The one exception for mistakes a person can mend."""

__all__ = ["InputError"]


class InputError(ValueError):
    """Bad data, configuration or arguments: the message says what, where, what was expected and what to do.

    The command line prints it as one sentence and exits with 2; anything else that escapes is a defect of ours.
    """
