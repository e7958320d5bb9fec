"""The one exception that a user of the command line sees as a message."""


class TriggerError(Exception):
    """Something the user can put right. Its text is complete: what, where, and what to do about it."""


_LONGEST = 60


def quoted(value: object) -> str:
    """A value as a message shows it: as Python writes it, the start alone where that is long."""
    text = repr(value)
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]}... ({len(text):,} characters)"
