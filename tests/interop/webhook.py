"""Verifies webhooks with the package that others verify them with.

Standard input is a JSON list of {"body", "headers", "secret", "holds"}; the exit code is 0 where each
is as `holds` says.
"""

import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

wrong = 0
for case in json.load(sys.stdin):
    try:
        payload = Webhook(case["secret"]).verify(case["body"], case["headers"])
        assert payload == json.loads(case["body"]), "another payload"
        holds = True
    except WebhookVerificationError as error:
        holds = False
        print(f"{case['what']}: {error}")
    if holds != case["holds"]:
        wrong += 1
        print(f"{case['what']}: verified is {holds}")
sys.exit(1 if wrong else 0)
