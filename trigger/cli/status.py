"""The exit statuses of the command, and its message and status for an exception."""

from trigger.errors import TriggerError
from trigger.support.files import reason

DIFFERENT = 1
FAILED = 2
OBJECTED = 3
INTERRUPTED = 130


def status_of(error: Exception) -> int:
    """The exit status that an exception ends the command with."""
    from trigger.workflow.build import Different, OverBudget, Unusable

    match error:
        case Different():
            return DIFFERENT
        case OverBudget() | Unusable():
            return OBJECTED
        case _:
            return FAILED


def message_of(error: Exception) -> str:
    """The text for the user: only the message if the user can cause the exception."""
    match error:
        case TriggerError():
            return str(error)
        case OSError():
            named = [str(error.filename)] if error.filename else []
            return ": ".join([*named, *filter(None, [reason(error)])])
        case MemoryError():
            what = f" ({error})" if str(error) else ""
            return f"there is not enough memory{what}; free some, and repeat the command"
        case _:
            return f"{type(error).__name__}: {error} (--debug shows where)"
