"""Asks a vendor with aiohttp: URL CREDENTIAL."""

import asyncio
import hashlib
import sys

import aiohttp

base, credential = sys.argv[1:]


async def chunks():
    for _ in range(300):
        yield b"x" * 1000


async def main():
    headers = {"Authorization": credential} if credential else {}
    async with aiohttp.ClientSession(headers=headers, trust_env=True) as session:
        async with session.get(base + "/me") as answer:
            print("me", answer.status, answer.headers.get("x-moat-blocked", "-"))
            if answer.status != 200:
                return
        async with session.post(base + "/upload", data=chunks()) as answer:
            print("upload", await answer.text())
        seen = []
        async with session.get(base + "/events") as answer:
            async for line in answer.content:
                if line.strip():
                    seen.append(line.decode().strip())
                    async with session.get(base + "/next"):
                        pass
        print("events", *seen)
        part = {"Range": "bytes=1000-200999"}
        async with session.get(base + "/blob", headers=part) as answer:
            print("range", answer.status, hashlib.sha256(await answer.read()).hexdigest())


asyncio.run(main())
