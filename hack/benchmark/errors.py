"""The one error that a reader of the benchmark sees."""


class BenchmarkError(Exception):
    """What failed and what to do about it; shown without a traceback."""
