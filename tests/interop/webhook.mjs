// Verifies webhooks with the package that others verify them with.
//
// Standard input is a JSON list of {"body", "headers", "secret", "holds"}; the exit code is 0 where
// each is as `holds` says.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.NODE_MODULES}/`);
const { Webhook, WebhookVerificationError } = require('standardwebhooks');

let wrong = 0;
for (const { what, body, headers, secret, holds } of JSON.parse(readFileSync(0, 'utf8'))) {
  let verified = false;
  try {
    new Webhook(secret).verify(body, headers);
    verified = true;
  } catch (error) {
    if (!(error instanceof WebhookVerificationError)) throw error;
    console.log(`${what}: ${error.message}`);
  }
  if (verified !== holds) {
    wrong += 1;
    console.log(`${what}: verified is ${verified}`);
  }
}
process.exit(wrong ? 1 : 0);
