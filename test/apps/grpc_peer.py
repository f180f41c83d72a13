#!/usr/bin/python3
"""A gRPC server that does a bit of everything, and a client that asks for all of it.

  grpc_peer.py serve PORT      prints "called" when a call hangs, "cancelled" when it is given up
  grpc_peer.py ask TARGET      prints what came of every call, as JSON
  grpc_peer.py fail TARGET     prints the code and the message of one call
  grpc_peer.py hang TARGET     waits for an answer that never comes
  grpc_peer.py drain TARGET    tells the server to end while a stream is open; prints what came of it

Messages are bytes: no code is generated from descriptions. grpc_peer.js is the same of another make.
"""

import concurrent.futures
import json
import sys
import threading

import grpc

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
BINARY = bytes(range(256))
LARGE = bytes(range(256)) * (4 * 1024 * 4)  # 4 MiB
MESSAGE = "ünlucky: 100% of it\n"


class Peer(grpc.GenericRpcHandler):
    """/weft.test.Peer/<method>, and the health of all."""

    def __init__(self):
        self.server = None

    def service(self, details):
        method = details.method.rsplit("/", 1)[1]
        if details.method == "/grpc.health.v1.Health/Check":
            return grpc.unary_unary_rpc_method_handler(lambda *_: b"\x08\x01")
        make = {"Unary": grpc.unary_unary_rpc_method_handler,
                "Fail": grpc.unary_unary_rpc_method_handler,
                "Hang": grpc.unary_unary_rpc_method_handler,
                "Drain": grpc.unary_unary_rpc_method_handler,
                "FailLate": grpc.unary_stream_rpc_method_handler,
                "Count": grpc.unary_stream_rpc_method_handler,
                "Sum": grpc.stream_unary_rpc_method_handler,
                "Chat": grpc.stream_stream_rpc_method_handler}.get(method)
        return make(getattr(self, method.lower())) if make else None

    def unary(self, request, context):
        sent = dict(context.invocation_metadata())
        context.send_initial_metadata([("x-first-bin", sent.get("x-binary-bin", b""))])
        context.set_trailing_metadata([("x-last-bin", sent.get("x-binary-bin", b"")),
                                       ("x-text", sent.get("x-text", ""))])
        return request

    def fail(self, request, context):
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, MESSAGE)

    def faillate(self, request, context):
        yield b"one"
        context.abort(grpc.StatusCode.DATA_LOSS, MESSAGE)

    def hang(self, request, context):
        print("called", flush=True)
        given_up = threading.Event()
        context.add_callback(given_up.set)
        given_up.wait(60)
        print("cancelled", flush=True)
        return b""

    def drain(self, request, context):
        threading.Thread(target=self.server.stop, args=(20,), daemon=True).start()
        return b""

    def count(self, request, context):
        for number in range(int(request)):
            yield b"%d" % number

    def sum(self, requests, context):
        return b"%d" % sum(len(request) for request in requests)

    def chat(self, requests, context):
        for request in requests:
            yield request.upper()


def serve(port):
    peer = Peer()
    peer.server = grpc.server(concurrent.futures.ThreadPoolExecutor(16), handlers=[peer],
                              options=UNLIMITED)
    peer.server.add_insecure_port(f"0.0.0.0:{port}")
    peer.server.start()
    peer.server.wait_for_termination()


class Asker:
    def __init__(self, target):
        self.channel = grpc.insecure_channel(target, options=UNLIMITED)

    def call(self, kind, method, service="weft.test.Peer"):
        return getattr(self.channel, kind)(f"/{service}/{method}")

    def status(self, method, request=b"", timeout=20, kind="unary_unary"):
        """[code, message] of a call that is expected to fail."""
        try:
            answer = self.call(kind, method)(request, timeout=timeout)
            if kind == "unary_stream":
                list(answer)
            return [0, ""]
        except grpc.RpcError as error:
            return [error.code().value[0], error.details()]

    def everything(self):
        results = {}
        unary = self.call("unary_unary", "Unary")
        answer, call = unary.with_call(b"hello", timeout=20, metadata=[("x-binary-bin", BINARY),
                                                                       ("x-text", "a, b")])
        last = dict(call.trailing_metadata())
        results["unary"] = answer.decode()
        results["binary metadata"] = [dict(call.initial_metadata())["x-first-bin"] == BINARY,
                                      last["x-last-bin"] == BINARY, last["x-text"]]
        results["empty"] = unary(b"", timeout=20).decode()
        results["large"] = unary(LARGE, timeout=20) == LARGE
        results["server streaming"] = len(list(self.call("unary_stream", "Count")(b"1000", timeout=20)))
        results["client streaming"] = \
            self.call("stream_unary", "Sum")(iter([b"x" * 1000] * 1000), timeout=20).decode()
        chat = self.call("stream_stream", "Chat")
        # In step: each answer comes before the next word is said.
        turn, heard = threading.Semaphore(1), []

        def words():
            for number in range(100):
                turn.acquire()
                yield b"word %d" % number

        for answer in chat(words(), timeout=20):
            heard.append(answer)
            turn.release()
        results["bidirectional"] = [len(heard), heard[-1].decode()]
        results["trailers only"] = self.status("Fail")
        results["late failure"] = self.status("FailLate", kind="unary_stream")
        results["unknown method"] = self.status("Nothing")[0]
        results["deadline"] = self.status("Hang", timeout=1)[0]
        results["health"] = self.call("unary_unary", "Check", "grpc.health.v1.Health")(
            b"", timeout=20).hex()
        return results


def drain(asker):
    """A stream that is open when the server says GOAWAY goes on to its end."""
    turn, heard = threading.Semaphore(1), []

    def words():
        for number in range(10):
            turn.acquire()
            if number == 5:
                asker.call("unary_unary", "Drain")(b"", timeout=20)
            yield b"word %d" % number

    for answer in asker.call("stream_stream", "Chat")(words(), timeout=20):
        heard.append(answer)
        turn.release()
    return {"heard": len(heard)}


def main():
    what, where = sys.argv[1:3]
    if what == "serve":
        serve(where)
        return
    asker = Asker(where)
    if what == "ask":
        print(json.dumps(asker.everything()))
    elif what == "drain":
        print(json.dumps(drain(asker)))
    elif what == "fail":
        print(json.dumps(asker.status("Unary")))
    elif what == "hang":
        asker.call("unary_unary", "Hang")(b"")


main()
