"""A host that speaks HTTP/2 alone and does what few hosts do: KEY CERTIFICATE, TOKEN set.

It prints what it saw, so that a test knows on which connection a request came.
"""

import os
import socket
import ssl
import sys
import threading

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings

key, certificate = sys.argv[1:]
token = "Bearer " + os.environ["TOKEN"]
refused_once = set()


class Connection:
    def __init__(self, sock, number):
        self.sock, self.number = sock, number
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        self.h2 = h2.connection.H2Connection(config=config)
        self.waiting = []
        self.bodies = {}
        self.paths = {}

    def run(self):
        self.h2.initiate_connection()
        small = {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1000}
        self.h2.update_settings(small | {h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL: 1})
        self.flush()
        while data := self.sock.recv(65536):
            for event in self.h2.receive_data(data):
                self.handle(event)
            self.flush()

    def flush(self):
        self.sock.sendall(self.h2.data_to_send())

    def handle(self, event):
        if isinstance(event, h2.events.RequestReceived):
            headers = dict(event.headers)
            self.paths[event.stream_id] = (headers[":path"], headers.get("authorization"))
            self.bodies[event.stream_id] = 0
            print("request", self.number, headers[":method"], headers[":path"], flush=True)
        elif isinstance(event, h2.events.DataReceived):
            self.bodies[event.stream_id] += len(event.data)
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self.answer(event.stream_id, *self.paths[event.stream_id])
        elif isinstance(event, h2.events.StreamReset):
            print("reset", self.number, self.paths[event.stream_id][0], flush=True)

    def head(self, stream, *more, end=False):
        self.h2.send_headers(stream, [(":status", "200"), *more], end_stream=end)

    def text(self, stream, text):
        self.head(stream)
        self.h2.send_data(stream, text.encode(), end_stream=True)

    def answer(self, stream, path, sent):
        if sent != token:
            self.h2.send_headers(stream, [(":status", "401")], end_stream=True)
        elif path == "/trailers":
            self.head(stream, ("trailer", "x-last"))
            self.h2.send_data(stream, b"body")
            self.h2.send_headers(stream, [("x-last", "yes"), ("x-echo", sent)], end_stream=True)
        elif path == "/hints":
            self.h2.send_headers(stream, [(":status", "103"), ("link", "</a>; rel=preload")])
            self.text(stream, "after hints")
        elif path.startswith("/interleave"):
            self.interleave(stream, path)
        elif path == "/padded":
            self.head(stream)
            for _ in range(10):
                self.h2.send_data(stream, b"padded", pad_length=200)
            self.h2.end_stream(stream)
        elif path == "/wide":
            # More than fits into one frame, so that CONTINUATION frames follow.
            fields = [(f"x-wide-{n}", str(n) * 1000) for n in range(20)]
            self.head(stream, *fields, end=True)
        elif path == "/broken":
            self.head(stream)
            self.h2.send_data(stream, b"half")
            self.h2.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
        elif path == "/refused" and path not in refused_once:
            refused_once.add(path)
            self.h2.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)
        elif path == "/bye":
            # The answer is whole, and the connection takes no other request.
            self.text(stream, "bye")
            self.h2.close_connection(last_stream_id=stream)
        elif path == "/gone" and path not in refused_once:
            # Never looked at, says GOAWAY, so that it may be sent again.
            refused_once.add(path)
            self.h2.close_connection(last_stream_id=stream - 2)
            self.flush()
            self.sock.close()
        elif path == "/early":
            self.text(stream, "early")
        else:
            self.text(stream, f"{path} {self.bodies[stream]} {sent}")

    def interleave(self, stream, path):
        """Answers when four have come, a piece of each in turn."""
        self.waiting.append((stream, path[-1]))
        if len(self.waiting) < 4:
            return
        for waiting, _ in self.waiting:
            self.head(waiting)
        for _ in range(50):
            for waiting, name in self.waiting:
                self.h2.send_data(waiting, name.encode() * 10)
        for waiting, _ in self.waiting:
            self.h2.end_stream(waiting)
        self.waiting = []


def serve(sock, number):
    try:
        Connection(sock, number).run()
    except (OSError, ssl.SSLError, h2.exceptions.ProtocolError) as error:
        print("ended", number, type(error).__name__, flush=True)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
context.set_alpn_protocols(["h2"])
listener = socket.create_server(("127.0.0.1", 0))
print("ready", listener.getsockname()[1], flush=True)
number = 0
while True:
    tcp, _ = listener.accept()
    number += 1
    try:
        tls = context.wrap_socket(tcp, server_side=True)
    except OSError:
        continue
    threading.Thread(target=serve, args=(tls, number), daemon=True).start()
