"""The errors this package raises, all rooted in one class.

    LlmopsError
    ├── ConfigurationError   a setting, path, URL or argument is wrong: change it
    ├── TransientError       the database is away or busy: the same call may succeed later
    └── PermanentError       the same call will fail again: the data or the database refuses it

Nothing here knows a database; `faults.py` translates what the drivers raise.
"""


class LlmopsError(Exception):
    """Root of every error that llmops-warehouse raises on purpose."""


class ConfigurationError(LlmopsError):
    """A setting, path, URL or argument is wrong, and the message says what would be right."""


class TransientError(LlmopsError):
    """The store could not be reached or was busy; nothing was written, a retry is safe."""


class PermanentError(LlmopsError):
    """The store refuses the request and will refuse it again; nothing was written."""
