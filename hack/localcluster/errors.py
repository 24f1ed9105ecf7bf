"""The one error that a user sees: a sentence that says what failed and what to do."""


class ClusterError(Exception):
    """Something the reader can act on; its text is shown without a traceback."""
