// Pages that stay open: that they move, and say when they do not any more.

import assert from 'node:assert/strict';
import { ask, run, vouchsafe } from './lib.mjs';

const BY_ITSELF = 'appears here by itself';

async function signsOutElsewhere(person, tab) {
  const other = await person.tab();
  await other.goto('/leases');
  await other.button('Sign out');
  await other.page.close();
  await tab.page.bringToFront();
}

async function a_session_that_ends_is_told(person) {
  const tab = await person.signedIn();
  await tab.sees(BY_ITSELF);
  await signsOutElsewhere(person, tab);
  // Whatever changes next has the daemon look whether the session lasts.
  const id = await ask('asked/ONE', 'INC-1: the session is over');
  tab.expects(401);
  await tab.sees('you are signed out');
  await tab.sees(BY_ITSELF, { gone: true });
  assert.equal(await tab.page.$eval('#live', (banner) => banner.getAttribute('role')), 'status');
  // In the tab's own size: another one would load the page anew.
  await tab.accessible('an inbox that is not live');
  // It is not asked for again and again.
  assert.equal(await tab.page.$('[sse-connect]'), null);
  await tab.press('#live a');
  assert.equal(tab.path(), '/signin');
  await vouchsafe('deny', id, '--yes', '--reason', 'no');
}

async function an_approval_leads_back(person) {
  const id = await ask('asked/TWO', 'INC-2: the way back');
  const tab = await person.signedIn();
  await tab.goto(`/approvals/${id}`);
  await tab.page.waitForFunction(() => document.documentElement.dataset.live === 'yes');
  await tab.page.type('#note', 'half a note');
  await signsOutElsewhere(person, tab);
  tab.expects(401);
  const another = await ask('asked/THREE', 'INC-3: something changes');
  await tab.sees('you are signed out');
  assert.equal(await tab.page.$eval('#note', (note) => note.value), 'half a note');
  await tab.press('#live a');
  assert.equal(tab.path(), `/signin?next=%2Fapprovals%2F${id}`);
  await vouchsafe('deny', id, '--yes', '--reason', 'no');
  await vouchsafe('deny', another, '--yes', '--reason', 'no');
}

async function times_move(person) {
  const id = await ask('asked/FOUR', 'INC-4: time goes by');
  const tab = await person.signedIn();
  const asked = () => tab.page.$eval('.ask time', (time) => time.textContent);
  const before = await asked();
  await tab.page.waitForFunction(
    (before) => document.querySelector('.ask time').textContent !== before,
    {},
    before,
  );
  assert.match(await asked(), /^\d+ s ago$/);
  assert.match(await tab.page.$eval('.when time', (time) => time.textContent), /^in \d+ \w+$/);
  await vouchsafe('deny', id, '--yes', '--reason', 'no');
  await tab.sees('Nothing waits');
  assert.equal(await tab.page.$eval('#tally', (tally) => tally.textContent), 'Nothing waits.');
  await tab.sees(BY_ITSELF);
  tab.fine();
}

async function a_daemon_out_of_reach_is_told(person) {
  const tab = await person.signedIn();
  await tab.sees(BY_ITSELF);
  await tab.page.setRequestInterception(true);
  tab.page.on('request', (request) => request.abort('connectionrefused'));
  // The stream breaks off, as it does where the daemon is gone.
  await tab.page.evaluate(() => {
    const { sseEventSource: source } = document.querySelector('[sse-connect]')['htmx-internal-data'];
    source.onerror(new Event('error'));
  });
  await tab.sees('the daemon does not answer');
  await tab.sees(BY_ITSELF, { gone: true });
}

run({
  a_session_that_ends_is_told,
  an_approval_leads_back,
  times_move,
  a_daemon_out_of_reach_is_told,
});
