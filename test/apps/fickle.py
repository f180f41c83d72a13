#!/usr/bin/python3
"""An HTTP/1.1 application that closes idle connections whenever it likes.

Usage: fickle.py PORT SECONDS NAME [HEAD_SECONDS BODY_SECONDS]

Every connection is closed after a random idle time of at most SECONDS, without notice, in order (no reset). Every
request is answered with "NAME BYTES\n", the length of its body, after HEAD_SECONDS; the answer's own body comes
BODY_SECONDS after its head. GET /hang is never answered: "gone" is logged when its client gives up.
GET /seen answers with a JSON object {id: how often} of the header x-id of all requests that came.
SIGUSR1 takes the listener away and ends idle connections, as a restart begins; SIGUSR2 brings it back.
"""

import asyncio
import json
import random
import signal
import sys

PORT, SECONDS = int(sys.argv[1]), float(sys.argv[2])
NAME = sys.argv[3]
HEAD_SECONDS, BODY_SECONDS = map(float, sys.argv[4:6] or (0, 0))

seen = {}
idle = set()


async def read_request(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in
               (line.partition(":") for line in head[1:] if line)}
    if headers.get("transfer-encoding") == "chunked":
        size = 0
        while length := int(await reader.readline(), 16):
            await reader.readexactly(length + 2)
            size += length
        await reader.readline()
    else:
        size = int(headers.get("content-length", 0))
        await reader.readexactly(size)
    return method, path, headers, size


async def serve(reader, writer):
    try:
        while True:
            idle.add(writer)
            method, path, headers, size = await asyncio.wait_for(read_request(reader),
                                                                 random.uniform(0, SECONDS))
            idle.discard(writer)
            if key := headers.get("x-id"):
                seen[key] = seen.get(key, 0) + 1
            if path == "/hang":
                print("hanging", flush=True)
                await reader.read()
                print("gone", flush=True)
                return
            body = f"{NAME} {size}\n" if path != "/seen" else json.dumps(seen)
            await asyncio.sleep(HEAD_SECONDS)
            writer.write(f"HTTP/1.1 200 OK\r\nx-served-by: {NAME}\r\n"
                         f"content-length: {len(body)}\r\n\r\n".encode())
            if BODY_SECONDS:
                await asyncio.sleep(BODY_SECONDS)
            writer.write(body.encode())
            await writer.drain()
    except (asyncio.TimeoutError, asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        idle.discard(writer)
        writer.close()


async def main():
    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(serve, None, PORT, backlog=1024)

    def leave():
        nonlocal server
        if server is not None:
            server.close()
            server = None
        for writer in list(idle):
            writer.close()
        print("left", flush=True)

    async def listen():
        nonlocal server
        if server is None:
            server = await asyncio.start_server(serve, None, PORT, backlog=1024)
        print("listening", flush=True)

    loop.add_signal_handler(signal.SIGUSR1, leave)
    loop.add_signal_handler(signal.SIGUSR2, lambda: loop.create_task(listen()))
    print("listening", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
