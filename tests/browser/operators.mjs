// What operators do on the pages: end a lease, search the log, come in from the command line.

import assert from 'node:assert/strict';
import { BASE, call, run, vouchsafe } from './lib.mjs';

const FREE = 'vouchsafe://secrets/free/PLAIN';
const read = () => call('read_secret', { uri: FREE, reason: 'a look' });

async function the_dashboard_signs_in_once(person) {
  const url = (await vouchsafe('dashboard', '--print')).trim();
  assert(url.startsWith(`${BASE}/`) && url.includes('#code='), url);
  const tab = await person.tab();
  await tab.page.goto(url);
  await tab.page.waitForFunction(() => location.pathname === '/inbox');
  await tab.sees('Inbox');
  // The code is in no address that is kept, and was sent to nobody.
  assert(!tab.page.url().includes('code='), tab.page.url());
  tab.fine();
  await tab.button('Sign out');
  tab.expects(403);
  await tab.page.goto('about:blank');
  await tab.page.goto(url);
  await tab.sees('That did not work');
}

async function revoking_a_lease(person) {
  const { lease } = await read();
  const tab = await person.signedIn();
  await tab.press('a[href="/leases"]');
  await tab.sees(FREE);
  await tab.press(`a[href="/leases/${lease.id}#revoke"]`);
  await tab.page.type('input[name=reason]', 'the incident is <b>over</b>');
  await tab.button('Revoke this lease');
  assert.equal(tab.path(), `/leases/${lease.id}`);
  await tab.sees('revoked');
  await tab.sees('the incident is <b>over</b>');
  assert.equal(await tab.page.$('input[name=reason]'), null, 'it can be revoked once more');
  await tab.goto('/leases?status=ended');
  await tab.sees('revoked');
  // The next read is under another lease.
  const again = await read();
  assert.notEqual(again.lease.id, lease.id);
  tab.fine();
}

async function a_form_of_another_page_does_nothing(person) {
  const { lease } = await read();
  const tab = await person.signedIn();
  tab.expects(403, 400);
  const statuses = await tab.page.evaluate(async (path) => {
    const post = async (body) => {
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      return (await fetch(path, { method: 'POST', headers, body, redirect: 'manual' })).status;
    };
    return [await post('reason=x'), await post('reason=x&csrf=guessed'), await post('csrf=')];
  }, `/leases/${lease.id}/revoke`);
  assert(statuses.every((status) => status === 403 || status === 400), statuses);
  assert.equal((await read()).lease.id, lease.id);
}

async function searching_the_log(person) {
  await read();
  const tab = await person.signedIn();
  await tab.goto('/audit');
  await tab.page.type('input[name=action]', 'secret.read');
  await tab.page.type('input[name=actor]', 'claude');
  await tab.button('Filter');
  assert.equal(new URL(tab.page.url()).searchParams.get('action'), 'secret.read');
  const actions = await tab.page.$$eval('.entry-action', (all) => all.map((a) => a.innerText));
  assert(actions.length > 0 && actions.every((action) => action === 'secret.read'), actions);
  const bars = await tab.page.$$eval('svg.bars rect', (all) => all.length);
  assert(bars > 0, 'nothing is drawn');
  // An entry unfolds by keyboard.
  await tab.page.focus('details.entry summary');
  await tab.page.keyboard.press('Enter');
  await tab.sees('"prev"');
  await tab.press('a[href="/audit"]');
  assert(!new URL(tab.page.url()).search, tab.page.url());
  tab.expects(400);
  await tab.goto('/audit?action=secret.stolen');
  await tab.sees('the log knows no action');
  tab.fine();
}

run({
  the_dashboard_signs_in_once,
  revoking_a_lease,
  a_form_of_another_page_does_nothing,
  searching_the_log,
});
