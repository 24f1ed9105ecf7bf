"""gRPC services of plain objects: a method per call, which takes a message and returns one or raises a refusal."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import structlog
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass

from localcluster.errors import ClusterError
from localcluster.native.storage.refusal import Refusal

THREADS = 32
Call = Callable[[Any], Any]


def serve(socket: Path, services: dict[ServiceDescriptor, object]) -> grpc.Server:
    """Return a server that answers at a socket; what an earlier process left of it is replaced.

    Parameters
    ----------
    socket
        Path of the socket.
    services
        What answers each service's calls: an object that has a method for each call that it knows, ``create_volume``
        for ``CreateVolume``.
    """
    server = grpc.server(ThreadPoolExecutor(max_workers=THREADS))
    for service, answers in services.items():
        known = {
            method.name: _handler(method, getattr(answers, _method_name(method.name)))
            for method in service.methods
            if hasattr(answers, _method_name(method.name))
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, known),))
    socket.parent.mkdir(parents=True, exist_ok=True)
    socket.unlink(missing_ok=True)
    server.add_insecure_port(f"unix://{socket}")
    server.start()
    return server


def _method_name(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _handler(method: MethodDescriptor, call: Call) -> grpc.RpcMethodHandler:
    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return call(request)
        except Refusal as refusal:
            context.abort(grpc.StatusCode[refusal.code], refusal.sentence)
        except (ClusterError, OSError) as error:
            structlog.get_logger().error("a call failed", call=method.name, error=str(error))
            context.abort(grpc.StatusCode.INTERNAL, str(error))

    return grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=GetMessageClass(method.input_type).FromString,
        response_serializer=GetMessageClass(method.output_type).SerializeToString,
    )
