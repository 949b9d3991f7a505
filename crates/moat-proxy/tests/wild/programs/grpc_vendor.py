"""A vendor that speaks gRPC: KEY CERTIFICATE, with the token in TOKEN."""

import os
import sys
from concurrent import futures

import grpc

key, certificate = (open(path, "rb").read() for path in sys.argv[1:])
token = "Bearer " + os.environ["TOKEN"]


def permit(context):
    sent = dict(context.invocation_metadata()).get("authorization", "")
    context.send_initial_metadata((("x-echo", sent),))
    context.set_trailing_metadata((("x-echo-last", sent),))
    if sent != token:
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "bad credentials")


def whoami(request, context):
    permit(context)
    return b"you sent " + token.encode()


def echo(requests, context):
    permit(context)
    for request in requests:
        yield request.upper()


def upload(requests, context):
    permit(context)
    return str(sum(len(request) for request in requests)).encode()


def download(request, context):
    permit(context)
    for number in range(int(request)):
        yield bytes([number % 256]) * 10000


server = grpc.server(futures.ThreadPoolExecutor(4))
handlers = {
    "WhoAmI": grpc.unary_unary_rpc_method_handler(whoami),
    "Echo": grpc.stream_stream_rpc_method_handler(echo),
    "Upload": grpc.stream_unary_rpc_method_handler(upload),
    "Download": grpc.unary_stream_rpc_method_handler(download),
}
server.add_generic_rpc_handlers(
    (grpc.method_handlers_generic_handler("vendor.Api", handlers),)
)
secure = grpc.ssl_server_credentials([(key, certificate)])
port = server.add_secure_port("127.0.0.1:0", secure)
server.start()
print("ready", port, flush=True)
server.wait_for_termination()
