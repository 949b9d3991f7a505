"""Asks a vendor with gRPC: HOST CREDENTIAL."""

import queue
import sys

import grpc

host, credential = sys.argv[1:]
metadata = (("authorization", credential),) if credential else ()
channel = grpc.secure_channel(host + ":443", grpc.ssl_channel_credentials())

try:
    answer, call = channel.unary_unary("/vendor.Api/WhoAmI").with_call(
        b"", metadata=metadata, timeout=20
    )
except grpc.RpcError as error:
    print(error.code().name, "/", error.details())
    sys.exit(0 if error.code() == grpc.StatusCode.UNAUTHENTICATED else 1)
print("whoami", answer.split()[0].decode(), call.code().name)
print(call.initial_metadata(), call.trailing_metadata(), answer, file=sys.stderr)

# Each message goes out after the answer to the one before it.
sent = queue.SimpleQueue()
call = channel.stream_stream("/vendor.Api/Echo")(iter(sent.get, None), metadata=metadata)
seen = []
for message in (b"one", b"two", b"three"):
    sent.put(message)
    seen.append(next(call).decode())
sent.put(None)
assert not list(call)
print("echo", *seen, call.code().name)

chunks = (b"x" * 10000 for _ in range(200))
print("upload", channel.stream_unary("/vendor.Api/Upload")(chunks, metadata=metadata).decode())
down = channel.unary_stream("/vendor.Api/Download")(b"200", metadata=metadata)
print("download", sum(len(message) for message in down))
