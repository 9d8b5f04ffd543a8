"""Receives Earshot's callbacks and verifies them: Standard Webhooks by hand, with Python's standard library alone.

    EARSHOT_CALLBACK_SECRET=whsec_... python3 examples/python/callback_receiver.py [PORT]        default port 8090; 0: any

Then add to POST .../Calls/connect or .../Legs: StatusCallback=http://127.0.0.1:8090/ (and allow 127.0.0.1 in callbacks.allow).
The secret is callbackSecret of the account, or what `earshot secrets rotate` printed. Python 3.8 or later.

To change it, give both for a while, the order does not matter: EARSHOT_CALLBACK_SECRET='whsec_NEW whsec_OLD'. Earshot, for its part, signs
with both for 24 hours after a rotation, so that either side may go first.
"""

import base64
import email.parser
import email.policy
import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# How old, or how far ahead of our clock, a callback may be: later it may be somebody's recording of it.
TOLERANCE_S = 300
# Earshot's are smaller than this by far.
MAX_BODY_BYTES = 64 * 1024
# A callback may come again: a 200 that got lost, a restart. Its id stays the same.
MAX_REMEMBERED = 10_000

SECRETS = os.environ.get("EARSHOT_CALLBACK_SECRET", "").split()
if not SECRETS or not all(secret.startswith("whsec_") for secret in SECRETS):
    raise SystemExit("EARSHOT_CALLBACK_SECRET is missing: the callbackSecret of the account, whsec_...")
KEYS = [base64.b64decode(secret[len("whsec_") :] + "==") for secret in SECRETS]
seen = {}


def is_genuine(headers, body, now=None):
    """Whether these bytes come from Earshot and are fresh. Give it the body as it came: parsed and written again it is another text."""
    identity = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not identity or not timestamp.isdecimal() or len(timestamp) > 12:
        return False
    if abs((time.time() if now is None else now) - int(timestamp)) > TOLERANCE_S:
        return False
    signed = f"{identity}.{timestamp}.".encode() + body
    expected = ["v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in KEYS]
    # Several signatures, separated by blanks, while a secret is being changed: one that is ours is enough.
    given = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(each.encode(), own.encode()) for each in given for own in expected)


def fields_of(content_type, body):
    """Fields by name, from JSON or multipart/form-data, whichever StatusCallbackContentType asked for."""
    if content_type.startswith("application/json"):
        return json.loads(body)
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    return {part.get_param("name", header="content-disposition"): part.get_payload(decode=True).decode() for part in message.iter_parts()}


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            return self.answer(413)
        body = self.rfile.read(int(length))
        # Without 2xx Earshot tries again, later and later: the answer to a forged one does not matter to it.
        if not is_genuine(self.headers, body):
            return self.answer(401)
        identity = self.headers["webhook-id"]
        if identity not in seen:
            told = fields_of(self.headers.get("content-type", ""), body)
            who = f"leg {told['LegSid']}" if "LegSid" in told else f"call {told['CallSid']}"
            print(f"{told['EventType']} {who}: {told['Status']}, custom field \"{told['CustomField']}\"", flush=True)
            # A real one writes to its database here, in one transaction with the id, before it answers.
            seen[identity] = True
            if len(seen) > MAX_REMEMBERED:
                del seen[next(iter(seen))]
        return self.answer(200)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8090), Receiver)
print(f"listening on http://127.0.0.1:{server.server_port}/", flush=True)
server.serve_forever()
