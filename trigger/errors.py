"""The exception that the command line shows as a message."""


class TriggerError(Exception):
    """An error that the user can correct. Its text says where, what is wrong, and what to do."""


_LONGEST = 60


def quoted(value: object) -> str:
    """A value in a message: its repr, shortened if long."""
    text = repr(value)
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]}... ({len(text):,} characters)"
