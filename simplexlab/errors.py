"""The two ways in which a command ends badly, each told in one line."""


class UsageError(ValueError):
    """What was asked for cannot be done (exit code 2). The message says what is wrong and what would be right."""


class RunError(RuntimeError):
    """What was asked for was right but failed (exit code 1): a full disk, a diverged loss, a missing download."""
