"""Speaks WebSocket with websockets: URL CREDENTIAL [COMPRESSION]."""

import asyncio
import os
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

url, credential, *compression = sys.argv[1:]
settings = {"compression": None} if compression == ["none"] else {}


async def main():
    headers = {"Authorization": credential} if credential else {}
    try:
        async with connect(url, additional_headers=headers, max_size=2**22, **settings) as socket:
            if "SILENT" not in os.environ:
                print(await socket.recv())
            if url.endswith("/echo"):
                print(await socket.recv())
            for message in ("one", "x" * 1000000, b"two"):
                await socket.send(message)
                answer = await socket.recv()
                assert answer.upper() == message.upper()
                print(type(answer).__name__, len(answer))
            await (await socket.ping())
        print("closed", socket.close_code)
    except InvalidStatus as refused:
        blocked = refused.response.headers.get("x-moat-blocked", "-")
        print("refused", refused.response.status_code, blocked)


asyncio.run(main())
