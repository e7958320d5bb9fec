"""The one exception that a user of the command line sees as a message."""


class TriggerError(Exception):
    """Something the user can put right. Its text is complete: what, where, and what to do about it."""
