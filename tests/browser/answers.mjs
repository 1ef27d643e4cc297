// What people do with what agents ask: sign in, see it come, approve it, deny it, by mouse and keys.

import assert from 'node:assert/strict';
import { ask, call, run, until, vouchsafe } from './lib.mjs';

const { TOKEN, VALUE } = process.env;
// Markup, a script, a picture, text that runs the other way, a space that is none, and no end.
const ATTACK =
  '<img src=x onerror=alert(1)><script>document.title="taken"</script>' +
  '\u202eevil\u202c zero\u200bwidth </q></p><h1>Approved</h1> {{ 7*7 }} ' +
  'x'.repeat(900);

const settled = (id, status) =>
  until(`${id} is ${status}`, async () => {
    const shown = JSON.parse(await vouchsafe('approvals', 'show', id, '-o', 'json'));
    return shown.status === status;
  });

async function signing_in_by_token(person) {
  const tab = await person.tab();
  // Whoever follows a link is sent there once they have signed in.
  await tab.goto('/leases?status=all');
  assert(tab.path().startsWith('/signin?next='), tab.path());
  tab.expects(403);
  await tab.page.type('#token', 'vs_user_nobody');
  await tab.press('form:has(#token) button');
  await tab.sees('That did not work');
  await tab.page.type('#token', TOKEN);
  await tab.press('form:has(#token) button');
  assert.equal(tab.path(), '/leases?status=all');
  const cookies = await person.context.cookies();
  const [cookie] = cookies;
  assert.equal(cookies.length, 1);
  assert.deepEqual(
    [cookie.name, cookie.httpOnly, cookie.secure, cookie.sameSite, cookie.path],
    ['__Host-vouchsafe', true, true, 'Strict', '/'],
  );
  assert(!(await tab.page.evaluate(() => document.cookie)), 'a script can read the cookie');
  await tab.button('Sign out');
  assert.equal(tab.path(), '/signin');
  await tab.goto('/inbox');
  assert(tab.path().startsWith('/signin'), 'signed out, and still in');
  tab.fine();
}

async function the_inbox_is_live(person) {
  const tab = await person.signedIn();
  await tab.sees('Nothing waits');
  const id = await ask('asked/ONE', 'INC-1042: checking the replica lag');
  await tab.sees('INC-1042: checking the replica lag');
  await tab.sees('asked/ONE');
  // Somebody else answers it.
  await vouchsafe('approve', id, '--yes', '--reason', 'as agreed');
  await tab.sees('INC-1042', { gone: true });
  await tab.sees('Nothing waits');
  tab.fine();
}

async function approving_by_mouse(person) {
  const id = await ask('asked/TWO', 'INC-1043: the report of the month');
  const tab = await person.signedIn();
  await tab.still();
  await tab.press(`a[href="/approvals/${id}"]`);
  const text = await tab.text();
  for (const part of ['vouchsafe://secrets/asked/TWO', 'claude', 'INC-1043', 'Asked']) {
    assert(text.includes(part), `${part} is not in ${text}`);
  }
  await tab.page.type('#note', 'go ahead');
  await tab.press('#approve button');
  await settled(id, 'approved');
  const read = await call('read_secret', { uri: 'vouchsafe://secrets/asked/TWO', reason: 'INC' });
  assert.equal(read.value, VALUE);
  // The page of a settled approval says so, and offers no answer.
  await tab.goto(`/approvals/${id}`);
  await tab.sees('pproved');
  assert.equal(await tab.page.$('#approve'), null);
  assert(!(await tab.page.content()).includes(VALUE), 'a value is on the page');
  tab.fine();
}

async function denying_by_keys(person) {
  const first = await ask('asked/THREE', 'INC-1044: the first');
  const second = await ask('asked/FOUR', 'INC-1045: the second');
  const tab = await person.signedIn();
  await tab.still();
  const { keyboard } = tab.page;
  const focused = () =>
    tab.page.evaluate(() => document.activeElement.closest('[data-item]')?.id ?? '');

  await keyboard.press('?');
  await tab.page.waitForSelector('dialog#help[open]');
  await keyboard.press('Escape');
  await tab.page.waitForSelector('dialog#help:not([open])');

  await keyboard.press('j');
  const top = await focused();
  await keyboard.press('j');
  const below = await focused();
  assert.deepEqual([top, below].sort(), [first, second].sort());
  await keyboard.press('k');
  assert.equal(await focused(), top);
  // To the answer, which sends nothing by itself.
  await Promise.all([tab.page.waitForNavigation(), keyboard.press('d')]);
  assert(tab.path().startsWith(`/approvals/${top}`), tab.path());
  await tab.page.waitForFunction(() => document.activeElement.id === 'reason');
  await keyboard.type('not on a Friday');
  await keyboard.press('Tab');
  await Promise.all([tab.page.waitForNavigation(), keyboard.press('Enter')]);
  await settled(top, 'denied');
  await tab.goto(`/approvals/${top}`);
  await tab.sees('not on a Friday');

  await tab.goto('/inbox');
  await tab.still();
  await keyboard.press('j');
  assert.equal(await focused(), below);
  await Promise.all([tab.page.waitForNavigation(), keyboard.press('a')]);
  await tab.page.waitForFunction(() => document.activeElement.closest('#approve') !== null);
  // A key that is typed into a field is a letter.
  await tab.page.focus('#note');
  await keyboard.type('jkad?');
  assert.equal(await tab.page.$eval('#note', (note) => note.value), 'jkad?');
  assert.equal(await tab.page.$('dialog#help[open]'), null);
  await Promise.all([tab.page.waitForNavigation(), keyboard.press('Enter')]);
  await settled(below, 'approved');
  tab.fine();
}

async function a_denial_needs_a_reason(person) {
  const id = await ask('asked/FIVE', 'INC-1046: once more');
  const tab = await person.signedIn();
  await tab.goto(`/approvals/${id}`);
  await tab.page.click('#deny button');
  const missing = await tab.page.$eval('#reason', (reason) => reason.validity.valueMissing);
  assert(missing, 'a denial without a reason is sent');
  await tab.page.type('#reason', 'ask again with a ticket');
  await tab.press('#deny button');
  await settled(id, 'denied');
  tab.fine();
}

async function a_stale_page_answers_nothing(person) {
  const id = await ask('asked/SIX', 'INC-1047: twice');
  const tab = await person.signedIn();
  tab.expects(409);
  await tab.goto(`/approvals/${id}`);
  await vouchsafe('deny', id, '--yes', '--reason', 'too late');
  // It is said above the form, which moves by that.
  await tab.sees('It was denied by');
  await tab.press('#approve button');
  await tab.sees('denied');
  await settled(id, 'denied');
  tab.fine();
}

async function an_attack_is_text(person) {
  const id = await ask('asked/SEVEN', ATTACK);
  const tab = await person.signedIn();
  for (const path of ['/inbox', `/approvals/${id}`, '/audit']) {
    await tab.goto(path);
    if (path === '/audit') {
      await tab.page.$$eval('details', (all) => all.forEach((one) => (one.open = true)));
    }
    const seen = await tab.text();
    assert(seen.includes('<img src=x onerror=alert(1)>'), `${path}: ${seen.slice(0, 2_000)}`);
    assert(seen.includes('{{ 7*7 }}'), path);
    assert(seen.includes('\\u{202e}') || seen.includes('\\u202e'), path);
    assert(!/[\u202a-\u202e\u200b]/.test(seen), `${path} shows what hides`);
    const made = await tab.page.$$eval('main img, main script, main q h1', (all) => all.length);
    assert.equal(made, 0, `${path} took text for markup`);
    assert(!(await tab.page.title()).includes('taken'));
    await tab.page.setViewport({ width: 360, height: 740 });
    await tab.fits(path);
    await tab.page.setViewport({ width: 1280, height: 900 });
  }
  await tab.goto(`/approvals/${id}`);
  await tab.looked('approval-attack');
  await vouchsafe('deny', id, '--yes', '--reason', 'no');
}

run({
  signing_in_by_token,
  the_inbox_is_live,
  approving_by_mouse,
  denying_by_keys,
  a_denial_needs_a_reason,
  a_stale_page_answers_nothing,
  an_attack_is_text,
});
