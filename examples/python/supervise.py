"""A supervisor joins a call, with Python's standard library: connect, look at the legs, listen, whisper, barge, listen, hang up.

    EARSHOT_KEY=acme-key EARSHOT_TOKEN=change-this-token-1 python3 examples/python/supervise.py client:priya client:ravi client:boss

The arguments are From, To and the supervisor. Also from the environment: EARSHOT_URL (default http://127.0.0.1:8080),
EARSHOT_ACCOUNT (default acme), PAUSE (seconds in each mode, default 3). Python 3.8 or later.
"""

import base64
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

FROM, TO, SUPERVISOR = (sys.argv[1:] + ["client:priya", "client:ravi", "client:boss"][len(sys.argv) - 1 :])[:3]
CALLS = "{}/v1/Accounts/{}/Calls".format(
    os.environ.get("EARSHOT_URL", "http://127.0.0.1:8080"), os.environ.get("EARSHOT_ACCOUNT", "acme")
)
CREDENTIALS = "{}:{}".format(os.environ.get("EARSHOT_KEY", ""), os.environ.get("EARSHOT_TOKEN", ""))
PAUSE = float(os.environ.get("PAUSE", "3"))


class Refused(Exception):
    """The server said no. The text is the vendor's, e.g. `Given callSID is not in-progress`."""


def request(method, path, fields=None):
    headers = {"Authorization": "Basic " + base64.b64encode(CREDENTIALS.encode()).decode()}
    if method == "POST":
        # The same key on a repeated POST gets the first answer and dials once, so a POST that timed out may be sent again.
        headers["Idempotency-Key"] = str(uuid.uuid4())
    body = None if fields is None else urllib.parse.urlencode(fields).encode()
    asked = urllib.request.Request(CALLS + path, data=body, headers=headers, method=method)
    try:
        with urllib.request.urlopen(asked, timeout=10) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        raise Refused("{}: {}".format(error.code, json.load(error)["RestException"]["Message"])) from None


def until(what, ask, seconds=30):
    """Asks until the answer is right."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = ask()
        if found:
            return found
        time.sleep(0.5)
    raise SystemExit("never: " + what)


def main():
    call = request("POST", "/connect.json", {"From": FROM, "To": TO})["Call"]["Sid"]
    print(f"call {call}: ringing {FROM}, then {TO}")

    def active_legs():
        return request("GET", f"/{call}/ActiveLegs.json")["Legs"]

    # To is dialled when From has picked up.
    until(f"{FROM} picks up", lambda: any(leg["Origin"] == "outbound-dial" for leg in active_legs()))

    leg = request("POST", f"/{call}/Legs.json", {"Action": "listen", "PhoneNumber": SUPERVISOR})["Leg"]["Sid"]
    print(f"leg {leg}: ringing {SUPERVISOR}, who will listen")
    for mode in ("whisper", "barge", "listen"):
        time.sleep(PAUSE)
        changed = request("PUT", f"/{call}/Legs/{leg}.json", {"Action": mode})["Leg"]
        print(f"leg {leg}: {changed['LastAction']}")
    time.sleep(PAUSE)
    # In the JSON of a hang-up the leg is called `legs`.
    print(f"leg {leg}: {request('PUT', f'/{call}/Legs/{leg}.json', {'Action': 'hangup'})['legs']['LastAction']}")

    # Hanging up a party ends a call of two for everybody.
    agent = next(each["Sid"] for each in active_legs() if each["Origin"] == "outbound")
    request("PUT", f"/{call}/Legs/{agent}.json", {"Action": "hangup"})

    def status():
        now = request("GET", f"/{call}.json")["Call"]["Status"]
        return None if now == "in-progress" else now

    print(f"call {call}: {until('the call ends', status)}")


if __name__ == "__main__":
    try:
        main()
    except Refused as refusal:
        raise SystemExit(str(refusal)) from None
