"""Parts of PromQL. Every selector is bound to the dashboard's variable ``namespace``, that of the release."""

NAMESPACE = 'namespace=~"$namespace"'


def of(metric: str, *matchers: str) -> str:
    """Select a metric's series.

    Parameters
    ----------
    matchers
        Further ones, as ``result="ok"``.
    """
    return f"{metric}{{{', '.join((NAMESPACE, *matchers))}}}"


def rate_of(metric: str, *matchers: str) -> str:
    """Write how fast a counter grows, a second."""
    return f"rate({of(metric, *matchers)}[$__rate_interval])"


def quantile(share: float, histogram: str, *by: str) -> str:
    """Write which value so many of a histogram's observations do not exceed.

    Parameters
    ----------
    share
        Between 0 and 1.
    histogram
        Name of the metric, without ``_bucket``.
    by
        Labels that are kept apart.
    """
    labels = ", ".join(("le", *by))
    return f"histogram_quantile({share}, sum by ({labels}) ({rate_of(f'{histogram}_bucket')}))"


def mean(histogram: str, by: str) -> str:
    """Write the mean of a histogram's observations, by a label."""
    total, count = (f"sum by ({by}) ({rate_of(f'{histogram}_{part}')})" for part in ("sum", "count"))
    return f"{total} / {count}"
