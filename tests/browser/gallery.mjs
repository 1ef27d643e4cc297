// Every page as it looks after some days of work: light, dark and on a phone. On each: nothing that
// hinders anybody, nothing wider than the screen, nothing loaded from elsewhere, and no value.

import assert from 'node:assert/strict';
import { run } from './lib.mjs';

const { VALUE, PENDING, SETTLED, LEASE, ENDED, SECRET, AUDITOR, NOBODY } = process.env;

const PAGES = {
  inbox: '/inbox',
  approval: `/approvals/${PENDING}`,
  'approval-settled': `/approvals/${SETTLED}`,
  leases: '/leases?status=all',
  lease: `/leases/${LEASE}`,
  'lease-ended': `/leases/${ENDED}`,
  secrets: '/secrets',
  'secrets-deleted': '/secrets?status=deleted',
  secret: `/secrets/default/${SECRET}`,
  keys: '/keys',
  audit: '/audit',
  'audit-nothing': '/audit?action=root_key.rotated',
  deliveries: '/deliveries',
};

async function pages(person) {
  const tab = await person.tab();
  await tab.goto('/signin');
  await tab.looked('sign-in');
  await tab.signIn(process.env.TOKEN);
  for (const [name, path] of Object.entries(PAGES)) {
    await tab.goto(path);
    if (name === 'audit') {
      await tab.page.click('details.entry summary');
    }
    await tab.looked(name);
    assert(!(await tab.page.content()).includes(VALUE), `a value is on ${path}`);
  }
  tab.expects(404);
  await tab.goto('/leases/lse_0000');
  await tab.looked('not-there');
}

// An auditor reads, and changes nothing.
async function an_auditor(person) {
  const tab = await person.signedIn(AUDITOR);
  const menu = await tab.page.$$eval('nav.menu a', (all) => all.map((a) => a.innerText));
  assert.deepEqual(menu, ['Inbox', 'Leases', 'Secrets', 'Keys', 'Audit', 'Deliveries']);
  await tab.goto(`/leases/${LEASE}`);
  assert.equal(await tab.page.$('form[action$="/revoke"]'), null);
  await tab.goto('/deliveries');
  assert.equal(await tab.page.$('form[action="/deliveries/retry"]'), null);
  tab.fine();
}

// Somebody without a role sees no menu, and is told whom to ask.
async function nobody_in_particular(person) {
  const tab = await person.tab();
  tab.expects(403);
  await tab.signIn(NOBODY);
  assert.deepEqual(await tab.page.$$('nav.menu a'), []);
  await tab.goto('/audit');
  await tab.sees('auditor');
  await tab.looked('refused');
}

run({ pages, an_auditor, nobody_in_particular });
