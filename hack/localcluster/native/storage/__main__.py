"""``python -m localcluster.native.storage PLAN`` serves the volumes of one node, in its mount namespace."""

import logging
import sys
import threading
from pathlib import Path

import csi_pb2 as csi
import registration_pb2 as registration
import structlog

from localcluster.native.plan import NodePlan
from localcluster.native.storage import pool
from localcluster.native.storage.controller import Controller
from localcluster.native.storage.identity import Identity, Registration
from localcluster.native.storage.nodeservice import NodeService
from localcluster.native.storage.offers import OFFERS
from localcluster.native.storage.service import serve
from localcluster.native.storage.shelf import Shelf


def main(plan_file: str) -> None:
    """Serve until this process is ended."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    plan = NodePlan.load(Path(plan_file))
    services, running = csi.DESCRIPTOR.services_by_name, []
    for offer in OFFERS:
        shelf = Shelf(pool.MOUNT, offer.driver, plan.state)
        shelf.sweep()
        answers = {
            services["Identity"]: Identity(offer),
            services["Controller"]: Controller(offer, shelf, plan.name),
            services["Node"]: NodeService(shelf, plan.name),
        }
        running.append(serve(offer.socket, answers))
        kubelet = registration.DESCRIPTOR.services_by_name["Registration"]
        running.append(serve(offer.registration, {kubelet: Registration(offer)}))
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1])
