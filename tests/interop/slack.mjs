// An app on Slack's own framework, that hears what the tests send in Slack's name. Writes its port,
// then a line for each thing that it heard. Ends with its standard input.
import { createRequire } from "node:module";
import { join } from "node:path";

const load = createRequire(join(process.env.NODE_MODULES, "package.json"));
const { App, HTTPReceiver, LogLevel } = load("@slack/bolt");

const receiver = new HTTPReceiver({
  signingSecret: process.env.SIGNING_SECRET,
  endpoints: "/slack/actions",
  logLevel: LogLevel.ERROR,
});
const app = new App({
  receiver,
  logLevel: LogLevel.ERROR,
  authorize: async () => ({ botToken: "xoxb-0", botId: "B0", botUserId: "U0" }),
});
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

app.action("vouchsafe_approve", async ({ ack, action, body }) => {
  await ack();
  say({ heard: "approve", member: body.user.id, value: action.value });
});
app.action("vouchsafe_deny", async ({ ack, action, body }) => {
  await ack();
  say({ heard: "deny", member: body.user.id, value: action.value });
});
app.view("vouchsafe_deny", async ({ ack, view, body }) => {
  await ack();
  const reason = view.state.values.reason.reason.value;
  say({ heard: "form", member: body.user.id, value: view.private_metadata, reason });
});

const server = await app.start({ port: 0, host: "127.0.0.1" });
say({ port: server.address().port });
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
