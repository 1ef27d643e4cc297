"""The Python MCP client against Vouchsafe: `scenario.py http|stdio auto|legacy`.

Plays the agent, and the person too, by the command line. Ends with an error at the first answer
that is not as promised. The environment says where things are: VOUCHSAFE (the program),
VOUCHSAFE_HOME, MCP_URL, EXPECTED (the value of every secret).
"""

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import httpx2
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

HOME = Path(os.environ["VOUCHSAFE_HOME"])
EXPECTED = os.environ["EXPECTED"]
REASON = "INC-1042: checking the replica lag"
NAME = re.compile(r"^[a-zA-Z0-9_-]{1,48}$")
WAIT_SECONDS_MAX = 60


def uri(name):
    return f"vouchsafe://secrets/asked/{name}"


def ask(name):
    return {"uri": uri(name), "reason": REASON}


def transport(kind, key):
    if kind == "http":
        token = (HOME / "keys" / f"{key}.key").read_text().strip()
        http = httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {token}"}, timeout=httpx2.Timeout(30, read=300)
        )
        return streamable_http_client(os.environ["MCP_URL"], http_client=http)
    return stdio_client(
        StdioServerParameters(
            command=os.environ["VOUCHSAFE"],
            args=["mcp", "--key", key],
            env={"VOUCHSAFE_HOME": str(HOME)},
        )
    )


async def vouchsafe(*args):
    process = await asyncio.create_subprocess_exec(
        os.environ["VOUCHSAFE"],
        *args,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, f"vouchsafe {args} ended with {process.returncode}"
    return out


async def pending(name):
    """The id of the pending ask for that secret, once there is one."""
    for _ in range(WAIT_SECONDS_MAX * 10):
        listed = json.loads(await vouchsafe("approvals", "--status", "pending", "-o", "json"))
        for approval in listed:
            if any(item["resource"] == uri(name) for item in approval["items"]):
                return approval["id"]
        await asyncio.sleep(0.1)
    raise AssertionError(f"nobody is asked for {name}")


async def scenario(client):
    tools = (await client.list_tools()).tools
    names = [tool.name for tool in tools]
    assert {"whoami", "list_secrets", "read_secret", "await_approval"} <= set(names), names
    for tool in tools:
        assert NAME.match(tool.name), tool.name
        assert tool.input_schema["type"] == "object", tool
        assert tool.description, tool

    me = (await client.call_tool("whoami", {})).structured_content
    assert me["key"] == "revealing" and "secrets:reveal" in me["scopes"], me

    listed = await client.call_tool("list_secrets", {})
    by_uri = {secret["uri"]: secret for secret in listed.structured_content["secrets"]}
    assert by_uri[uri("ONE")]["needs"] == "approval", by_uri
    assert EXPECTED not in listed.model_dump_json()

    # Nobody answers this one in time, which takes its time: it waits beside the others.
    unanswered = asyncio.create_task(client.call_tool("read_secret", ask("THREE")))
    await pending("THREE")

    # A person approves while the call waits.
    progress = []
    async def on_progress(done, total, message):
        progress.append(done)
    call = asyncio.create_task(
        client.call_tool("read_secret", ask("ONE"), progress_callback=on_progress)
    )
    id = await pending("ONE")
    await vouchsafe("approve", id, "--yes")
    answer = (await call).structured_content
    assert answer["status"] == "ok" and answer["value"] == EXPECTED, answer
    assert progress and progress == sorted(set(progress)), progress
    lease = answer["lease"]["id"]

    again = (await client.call_tool("read_secret", ask("ONE"))).structured_content
    assert again["status"] == "ok" and again["lease"]["id"] == lease, again

    call = asyncio.create_task(client.call_tool("read_secret", ask("TWO")))
    await vouchsafe("deny", await pending("TWO"), "--yes", "--reason", "not on a Friday")
    denied = await call
    assert denied.is_error and denied.structured_content["status"] == "denied", denied
    assert "not on a Friday" in denied.structured_content["reason"], denied

    # Giving up does not take the ask back.
    call = asyncio.create_task(client.call_tool("read_secret", ask("FOUR")))
    id = await pending("FOUR")
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert await pending("FOUR") == id
    await vouchsafe("deny", id, "--yes", "--reason", "the test is over")

    resources = (await client.list_resources()).resources
    assert uri("ONE") in {str(resource.uri) for resource in resources}, resources
    contents = (await client.read_resource("vouchsafe://secrets/free/PLAIN")).contents
    assert contents[0].text == EXPECTED, contents

    # A handle, and the answer by it.
    handle = (await unanswered).structured_content
    assert handle["status"] == "pending", handle
    assert handle["next"]["tool"] == "await_approval", handle
    await vouchsafe("approve", handle["approval_id"], "--yes")
    answer = await client.call_tool("await_approval", handle["next"]["arguments"])
    assert answer.structured_content["status"] == "approved", answer
    answer = await client.call_tool("read_secret", ask("THREE"))
    assert answer.structured_content["value"] == EXPECTED, answer


async def masked(client):
    read = await client.call_tool("read_secret", ask("ONE"))
    assert read.structured_content["status"] == "redacted", read
    assert read.structured_content["value"] == "***REDACTED", read
    assert EXPECTED not in read.model_dump_json()


async def refused(kind, mode):
    try:
        async with Client(transport(kind, "bad"), mode=mode) as client:
            await client.list_tools()
    except BaseException as error:  # a group of them, in this client
        assert EXPECTED not in repr(error)
        return
    raise AssertionError("a bad key was let in")


async def main(kind, mode):
    async with Client(transport(kind, "revealing"), mode=mode) as client:
        print("protocol", client.protocol_version)
        await scenario(client)
    async with Client(transport(kind, "masked"), mode=mode) as client:
        await masked(client)
    await refused(kind, mode)


asyncio.run(asyncio.wait_for(main(*sys.argv[1:]), 120))
