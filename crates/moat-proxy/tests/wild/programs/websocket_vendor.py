"""A vendor that speaks WebSocket over HTTP/1.1: KEY CERTIFICATE, with the token in TOKEN."""

import asyncio
import http
import os
import ssl
import sys

from websockets.asyncio.server import serve

key, certificate = sys.argv[1:]
token = "Bearer " + os.environ["TOKEN"]


def permit(connection, request):
    if request.headers.get("Authorization") != token:
        return connection.respond(http.HTTPStatus.UNAUTHORIZED, "Bad credentials\n")


async def echo(connection):
    await connection.send("welcome")
    if connection.request.path == "/echo":
        await connection.send("you sent " + connection.request.headers["Authorization"])
    async for message in connection:
        await connection.send(message.upper())


async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = await serve(echo, "127.0.0.1", 0, ssl=context, process_request=permit, max_size=2**22)
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
