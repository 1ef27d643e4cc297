"""Slack's own client library, held against the daemon and against the tests' stub of Slack.

    slack.py sign SECRET TIMESTAMP                 the signature of standard input
    slack.py verify SECRET TIMESTAMP SIGNATURE     whether it is standard input's
    slack.py blocks                                whether standard input is a message it would take
    slack.py calls BASE TOKEN                      its client's calls, at a stub of Slack
"""

import json
import sys

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View
from slack_sdk.signature import Clock, SignatureVerifier


class Stopped(Clock):
    """A clock that stands where the signature says."""

    def __init__(self, at):
        self.at = at

    def now(self):
        return float(self.at)


def sign(secret, timestamp):
    body = sys.stdin.read()
    print(SignatureVerifier(secret).generate_signature(timestamp=timestamp, body=body))


def verify(secret, timestamp, signature):
    body = sys.stdin.read()
    verifier = SignatureVerifier(secret, clock=Stopped(timestamp))
    assert verifier.is_valid(body, timestamp, signature), "not signed"
    assert not verifier.is_valid(body + "x", timestamp, signature), "signs anything"
    late = SignatureVerifier(secret, clock=Stopped(int(timestamp) + 360))
    assert not late.is_valid(body, timestamp, signature), "good for ever"


def blocks():
    sent = json.load(sys.stdin)
    if "view" in sent:
        # Its class names what a view has; a member that it does not know is not taken.
        view = View(**sent["view"])
        view.validate_json()
        read, given = view.blocks, sent["view"]["blocks"]
    else:
        given = sent["blocks"]
        read = Block.parse_all(given)
    assert len(read) == len(given), "not every block is one"
    for block, as_sent in zip(read, given):
        block.validate_json()
        again = block.to_dict()
        assert again["type"] == as_sent["type"], (again, as_sent)
        for member in as_sent:
            assert member in again, f"{member} of {as_sent} is none of its own"


def calls(base, token):
    client = WebClient(token=token, base_url=base + "/")
    posted = client.chat_postMessage(channel="C1", text="hello")
    assert posted["ok"] and posted["ts"], posted
    changed = client.chat_update(channel=posted["channel"], ts=posted["ts"], text="bye")
    assert changed["ts"] == posted["ts"], changed
    view = {"type": "modal", "title": {"type": "plain_text", "text": "Deny"}, "blocks": []}
    assert client.views_open(trigger_id="1", view=view)["ok"]
    try:
        client.chat_postMessage(channel="C2", text="refused")
    except SlackApiError as error:
        assert error.response["error"] == "channel_not_found", error
    else:
        raise AssertionError("the stub was told to refuse this")


if __name__ == "__main__":
    {"sign": sign, "verify": verify, "blocks": blocks, "calls": calls}[sys.argv[1]](*sys.argv[2:])
