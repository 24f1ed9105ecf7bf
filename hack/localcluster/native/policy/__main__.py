"""``python -m localcluster.native.policy PLAN`` enforces the policies of one node, inside its namespaces."""

import asyncio
import logging
import sys
from pathlib import Path

import structlog

from localcluster.native.plan import NodePlan
from localcluster.native.policy.daemon import run


def main(plan_file: str) -> None:
    """Enforce until this process is ended."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    asyncio.run(run(NodePlan.load(Path(plan_file)).pod_cidr))


if __name__ == "__main__":
    main(sys.argv[1])
