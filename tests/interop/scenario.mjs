// The TypeScript MCP clients against Vouchsafe: `scenario.mjs http|stdio sdk|legacy|auto`, where
// `sdk` is @modelcontextprotocol/sdk and the other two are @modelcontextprotocol/client by era.
//
// Plays the agent, and the person too, by the command line. Ends with an error at the first answer
// that is not as promised. The environment says where things are: VOUCHSAFE (the program),
// VOUCHSAFE_HOME, MCP_URL, EXPECTED (the value of every secret), NODE_MODULES.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const { VOUCHSAFE, VOUCHSAFE_HOME, MCP_URL, EXPECTED, NODE_MODULES } = process.env;
const [kind, client] = process.argv.slice(2);
const REASON = 'INC-1042: checking the replica lag';
const WAIT_MS_MAX = 60_000;

const uri = (name) => `vouchsafe://secrets/asked/${name}`;
const ask = (name) => ({ uri: uri(name), reason: REASON });

// The packages are not beside this file but in the target folder.
const require = createRequire(`${NODE_MODULES}/`);
const load = (name) => import(pathToFileURL(require.resolve(name)));

async function connect(key) {
  const http = () => {
    const token = readFileSync(`${VOUCHSAFE_HOME}/keys/${key}.key`, 'utf8').trim();
    return [new URL(MCP_URL), { requestInit: { headers: { Authorization: `Bearer ${token}` } } }];
  };
  const stdio = {
    command: VOUCHSAFE,
    args: ['mcp', '--key', key],
    env: { PATH: process.env.PATH, VOUCHSAFE_HOME },
  };
  const me = { name: 'interop', version: '1' };
  if (client === 'sdk') {
    const { Client } = await load('@modelcontextprotocol/sdk/client/index.js');
    const { StreamableHTTPClientTransport } = await load(
      '@modelcontextprotocol/sdk/client/streamableHttp.js',
    );
    const { StdioClientTransport } = await load('@modelcontextprotocol/sdk/client/stdio.js');
    const made = new Client(me);
    const transport =
      kind === 'http' ? new StreamableHTTPClientTransport(...http()) : new StdioClientTransport(stdio);
    await made.connect(transport);
    return Object.assign(made, {
      call: (name, args, options) => made.callTool({ name, arguments: args }, undefined, options),
    });
  }
  const { Client, StreamableHTTPClientTransport } = await load('@modelcontextprotocol/client');
  const { StdioClientTransport } = await load('@modelcontextprotocol/client/stdio');
  const made = new Client(me, { versionNegotiation: { mode: client } });
  const transport =
    kind === 'http' ? new StreamableHTTPClientTransport(...http()) : new StdioClientTransport(stdio);
  await made.connect(transport);
  console.log('protocol', made.getNegotiatedProtocolVersion?.());
  return Object.assign(made, {
    call: (name, args, options) => made.callTool({ name, arguments: args }, options),
  });
}

async function vouchsafe(...args) {
  const { stdout } = await promisify(execFile)(VOUCHSAFE, args);
  return stdout;
}

// The id of the pending ask for that secret, once there is one.
async function pending(name) {
  for (let waited = 0; waited < WAIT_MS_MAX; waited += 100) {
    const listed = JSON.parse(await vouchsafe('approvals', '--status', 'pending', '-o', 'json'));
    const found = listed.find((ask) => ask.items.some((item) => item.resource === uri(name)));
    if (found) return found.id;
    await sleep(100);
  }
  throw new Error(`nobody is asked for ${name}`);
}

async function scenario(agent) {
  const { tools } = await agent.listTools();
  const names = tools.map((tool) => tool.name);
  for (const name of ['whoami', 'list_secrets', 'read_secret', 'await_approval']) {
    assert(names.includes(name), names);
  }
  for (const tool of tools) {
    assert.match(tool.name, /^[a-zA-Z0-9_-]{1,48}$/);
    assert.equal(tool.inputSchema.type, 'object');
    assert(tool.description);
  }

  const me = (await agent.call('whoami', {})).structuredContent;
  assert.equal(me.key, 'revealing');
  assert(me.scopes.includes('secrets:reveal'));

  const listed = await agent.call('list_secrets', {});
  const one = listed.structuredContent.secrets.find((secret) => secret.uri === uri('ONE'));
  assert.equal(one.needs, 'approval');
  assert(!JSON.stringify(listed).includes(EXPECTED));

  // Nobody answers this one in time, which takes its time: it waits beside the others.
  const unanswered = agent.call('read_secret', ask('THREE'));
  await pending('THREE');

  // A person approves while the call waits.
  const progress = [];
  let call = agent.call('read_secret', ask('ONE'), { onprogress: (p) => progress.push(p.progress) });
  await vouchsafe('approve', await pending('ONE'), '--yes');
  const first = (await call).structuredContent;
  assert.equal(first.status, 'ok');
  assert.equal(first.value, EXPECTED);
  assert(progress.length > 0, 'no progress was told');
  assert(progress.every((at, i) => i === 0 || at > progress[i - 1]), progress);

  const again = (await agent.call('read_secret', ask('ONE'))).structuredContent;
  assert.equal(again.lease.id, first.lease.id);

  call = agent.call('read_secret', ask('TWO'));
  await vouchsafe('deny', await pending('TWO'), '--yes', '--reason', 'not on a Friday');
  const denied = await call;
  assert.equal(denied.isError, true);
  assert.equal(denied.structuredContent.status, 'denied');
  assert.match(denied.structuredContent.reason, /not on a Friday/);

  // Giving up does not take the ask back.
  const patience = new AbortController();
  call = agent.call('read_secret', ask('FOUR'), { signal: patience.signal });
  const ended = assert.rejects(call);
  const id = await pending('FOUR');
  patience.abort('tired of waiting');
  await ended;
  assert.equal(await pending('FOUR'), id);
  await vouchsafe('deny', id, '--yes', '--reason', 'the test is over');

  const { resources } = await agent.listResources();
  assert(resources.some((resource) => resource.uri === uri('ONE')));
  const { contents } = await agent.readResource({ uri: 'vouchsafe://secrets/free/PLAIN' });
  assert.equal(contents[0].text, EXPECTED);

  // A handle, and the answer by it.
  const handle = (await unanswered).structuredContent;
  assert.equal(handle.status, 'pending');
  await vouchsafe('approve', handle.approval_id, '--yes');
  const approved = await agent.call(handle.next.tool, handle.next.arguments);
  assert.equal(approved.structuredContent.status, 'approved');
  const third = await agent.call('read_secret', ask('THREE'));
  assert.equal(third.structuredContent.value, EXPECTED);
}

let agent = await connect('revealing');
await scenario(agent);
await agent.close();

agent = await connect('masked');
const masked = await agent.call('read_secret', ask('ONE'));
assert.equal(masked.structuredContent.status, 'redacted');
assert.equal(masked.structuredContent.value, '***REDACTED');
assert(!JSON.stringify(masked).includes(EXPECTED));
await agent.close();

await assert.rejects(async () => (await connect('bad')).listTools(), 'a bad key was let in');
process.exit(0);
