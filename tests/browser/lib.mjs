// What the scenarios share: a browser that notes whatever goes wrong in it, a person at its pages,
// an agent at the other door, and the person's command line.
//
// The environment says where things are: URL (the pages), AGENTS (the address
// for agents), VOUCHSAFE (the program), VOUCHSAFE_HOME,
// CHROMIUM, NODE_MODULES, SCREENSHOTS, and the scenario's tokens and keys.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

export const { URL: BASE } = process.env;
const { VOUCHSAFE, CHROMIUM, NODE_MODULES, SCREENSHOTS } = process.env;
const WAIT_MS_MAX = 15_000;
const DESK = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };
const NARROW = { width: 360, height: 740, isMobile: true, hasTouch: true };

// The packages are not beside this file but in the target folder.
const require = createRequire(`${NODE_MODULES}/`);
const { default: puppeteer } = await import(pathToFileURL(require.resolve('puppeteer-core')));
const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

// Runs scenarios, `{ name: async (browser) => .. }`, one after the other in one browser, each with
// cookies of its own. Ends the process.
export async function run(scenarios) {
  const browser = await puppeteer.launch({
    executablePath: CHROMIUM,
    // Nobody but the test is in this browser, and it sees no page but ours.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--force-color-profile=srgb'],
  });
  let failed = 0;
  for (const [name, scenario] of Object.entries(scenarios)) {
    const context = await browser.createBrowserContext();
    const began = Date.now();
    try {
      await scenario(new Person(context));
      console.log(`ok      ${name} (${Date.now() - began} ms)`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED  ${name}\n${error.stack}`);
    }
    await context.close();
  }
  await browser.close();
  process.exit(failed === 0 ? 0 : 1);
}

// Somebody with a browser of their own: its tabs share cookies.
export class Person {
  constructor(context) {
    this.context = context;
  }

  // A new tab.
  async tab() {
    const page = await this.context.newPage();
    await page.setViewport(DESK);
    page.setDefaultTimeout(WAIT_MS_MAX);
    return new Tab(page).watched();
  }

  // A new tab of somebody who has signed in by token.
  async signedIn(token = process.env.TOKEN) {
    const tab = await this.tab();
    await tab.signIn(token);
    return tab;
  }
}

// One tab. Whatever goes wrong in it is in `trouble`.
export class Tab {
  constructor(page) {
    this.page = page;
    this.trouble = [];
    this.expected = new Set();
  }

  async watched() {
    const note = (text) => this.trouble.push(text);
    this.page.on('pageerror', (error) => note(`script: ${error}`));
    this.page.on('console', (message) => {
      if (!['error', 'warn'].includes(message.type())) return;
      // Told by its response already.
      if (message.text().startsWith('Failed to load resource')) return;
      note(`console: ${message.text()}`);
    });
    this.page.on('request', (request) => {
      // Chromium draws its own fields with pictures that are in it.
      if (request.url().startsWith('data:')) return;
      if (!request.url().startsWith(`${BASE}/`)) note(`elsewhere: ${request.url()}`);
    });
    this.page.on('requestfailed', (request) => {
      const why = request.failure()?.errorText;
      // Leaving a page ends what it was still listening to, and a font that it came without.
      if (why === 'net::ERR_ABORTED' && this.leaving(request)) return;
      note(`failed: ${request.url()} ${why}`);
    });
    this.page.on('response', (response) => {
      if (response.status() < 400 || this.expected.has(response.status())) return;
      note(`status ${response.status()}: ${response.url()}`);
    });
    await this.page.evaluateOnNewDocument(() => {
      document.addEventListener('securitypolicyviolation', (event) => {
        console.error(`content policy: ${event.violatedDirective} ${event.blockedURI}`);
      });
      document.addEventListener('htmx:afterSettle', () => {
        window.isWrittenAnew = true;
      });
    });
    return this;
  }

  leaving(request) {
    return ['eventsource', 'fetch', 'font', 'xhr'].includes(request.resourceType());
  }

  // Answers with these statuses are part of the scenario.
  expects(...statuses) {
    statuses.forEach((status) => this.expected.add(status));
    return this;
  }

  // Goes to a path.
  async goto(path) {
    return await this.page.goto(`${BASE}${path}`, { waitUntil: 'load' });
  }

  // Signs in by token, as a person does.
  async signIn(token) {
    await this.goto('/signin');
    await this.page.type('#token', token);
    await this.press('form:has(#token) button');
  }

  // Clicks what leads to another page, and is there.
  async press(selector) {
    const clicked = this.page.locator(selector).click();
    await Promise.all([this.page.waitForNavigation({ waitUntil: 'load' }), clicked]);
  }

  // Presses the button of this name, and is on the page it leads to.
  async button(name) {
    await this.press(`::-p-aria([name="${name}"][role="button"])`);
  }

  // Waits until a page that is live has been written anew, as it is once when it is opened. While
  // that happens nothing has the focus, and what is clicked may be gone before the button is up.
  async still() {
    await this.page.waitForFunction(() => window.isWrittenAnew);
  }

  // The text of the page's main part.
  async text() {
    return await this.page.$eval('main', (main) => main.innerText);
  }

  // Waits until the main part has this text, or, with `gone`, has it no more.
  async sees(text, { gone = false } = {}) {
    const found = (text, gone) => document.querySelector('main')?.innerText.includes(text) !== gone;
    try {
      await this.page.waitForFunction(found, { timeout: WAIT_MS_MAX }, text, gone);
    } catch {
      throw new Error(`${gone ? 'still there' : 'not there'}: ${text}\n${await this.text()}`);
    }
  }

  // The path, with its query.
  path() {
    return this.page.url().slice(BASE.length);
  }

  // Fails where anything went wrong until now.
  fine() {
    assert.deepEqual(this.trouble, [], `on ${this.page.url()}`);
  }

  // Looks at the page in light, dark and on a phone: that nothing hinders anybody, that it fits,
  // and leaves a picture of each.
  async looked(name) {
    const { page } = this;
    const still = { name: 'prefers-reduced-motion', value: 'reduce' };
    const scheme = (value) =>
      page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value }, still]);
    for (const value of ['light', 'dark']) {
      await scheme(value);
      await this.accessible(`${name}, ${value}`);
      await page.screenshot({ path: `${SCREENSHOTS}/${name}-${value}.png`, fullPage: true });
    }
    await scheme('light');
    await page.setViewport(NARROW);
    await this.fits(name);
    await page.setViewport(PHONE);
    await this.accessible(`${name}, phone`);
    await page.screenshot({ path: `${SCREENSHOTS}/${name}-phone.png`, fullPage: true });
    await page.setViewport(DESK);
    this.fine();
  }

  // Nothing on the page needs scrolling sideways.
  async fits(name) {
    const wide = await this.page.evaluate(() => {
      const { clientWidth, scrollWidth } = document.documentElement;
      if (scrollWidth <= clientWidth) return [];
      const over = [...document.querySelectorAll('body *')].filter(
        (element) => element.getBoundingClientRect().right > clientWidth + 1,
      );
      return over.slice(0, 5).map((element) => element.outerHTML.slice(0, 120));
    });
    assert.deepEqual(wide, [], `${name} is wider than 360 pixels`);
  }

  // Nothing serious hinders people with keyboards, screen readers or weak eyes.
  async accessible(name) {
    await this.page.evaluate(AXE);
    const { violations } = await this.page.evaluate(() => window.axe.run());
    const serious = violations
      .filter(({ impact }) => ['serious', 'critical'].includes(impact))
      .map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 160)).join('\n  ')}`);
    assert.deepEqual(serious, [], name);
  }
}

// An agent calls a tool; its result. What needs people comes back pending.
export async function call(tool, args, key = process.env.KEY) {
  const response = await fetch(process.env.AGENTS, {
    method: 'POST',
    headers: {
      accept: 'application/json, text/event-stream',
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      'mcp-protocol-version': '2025-11-25',
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: tool, arguments: args },
    }),
  });
  const text = await response.text();
  const messages = text.split('\n').map((line) => line.replace(/^data:/, '').trim());
  const answers = messages.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
  const answer = answers.find(({ id }) => id === 1);
  assert(answer?.result, text);
  return answer.result.structuredContent;
}

// An agent asks for a secret; the approval's id.
export async function ask(path, reason) {
  const uri = `vouchsafe://secrets/${path}`;
  const content = await call('request_access', { resources: [uri], operation: 'read', reason });
  assert.equal(content.status, 'pending', JSON.stringify(content));
  return content.approval_id;
}

// The person at the command line.
export async function vouchsafe(...args) {
  const { stdout } = await promisify(execFile)(VOUCHSAFE, args);
  return stdout;
}

// Looks until there is something to see.
export async function until(what, look) {
  for (let waited = 0; waited < WAIT_MS_MAX; waited += 50) {
    const seen = await look();
    if (seen) return seen;
    await sleep(50);
  }
  throw new Error(`waited in vain: ${what}`);
}
