"""A mail server that reads what it takes: `smtp_server.py TLS USER PASSWORD COUNT CERT KEY MOODS`.

TLS is `starttls` or `implicit`. Prints its port, takes COUNT mails from whoever has logged in, and
reads each as Python's own parser does by default. Ends with an error at the first one that has a
defect, or is not what it should be.

MOODS, with commas between them, is what becomes of the first mails, one each: `fail` for good,
`later`, `stall` until the other side gives up, `die` before the mail is taken, `die-taken` after.
The others are taken.
"""

import asyncio
import ssl
import sys
from email import policy
from email.parser import BytesParser

from aiosmtpd.smtp import SMTP, AuthResult

WAIT_SECONDS_MAX = 60


def check(raw):
    mail = BytesParser(policy=policy.default).parsebytes(raw)
    for part in mail.walk():
        assert not part.defects, part.defects
        for name, value in part.items():
            assert not value.defects, (name, value, value.defects)
    assert mail.get_content_type() == "multipart/alternative", mail.get_content_type()
    kinds = [part.get_content_type() for part in mail.iter_parts()]
    assert kinds == ["text/plain", "text/html"], kinds
    plain = mail.get_body(("plain",)).get_content()
    html = mail.get_body(("html",)).get_content()
    assert mail["message-id"].strip("<>").split("@")[0] in plain, plain
    assert html.startswith("<!doctype html>") and html.rstrip().endswith("</html>"), html
    assert "<script" not in html and "href=\"https://evil" not in html, html
    assert mail["auto-submitted"] == "auto-generated"
    sender = mail["from"].addresses[0]
    assert (sender.display_name, sender.domain) == ("Vouchsafe", "broker.example"), sender
    assert [to.addr_spec for to in mail["to"].addresses] == ["ann@example.com"], mail["to"]
    assert mail["date"].datetime.isoformat() == "2026-11-21T10:44:00+00:00", mail["date"]
    assert mail["subject"] and "\n" not in mail["subject"], mail["subject"]
    return mail


class Handler:
    def __init__(self, count, moods):
        self.left = count
        self.moods = moods.split(",") if moods else []
        self.done = asyncio.get_running_loop().create_future()
        self.threads = set()

    async def handle_DATA(self, server, session, envelope):
        mood = self.moods.pop(0) if self.moods else "take"
        if mood == "fail":
            return "550 5.7.1 not of this kind"
        if mood == "later":
            return "451 4.3.0 come again"
        if mood == "stall":
            await asyncio.sleep(WAIT_SECONDS_MAX)
        if mood == "die":
            server.transport.abort()
            return "421 4.4.2 gone"
        try:
            assert session.authenticated and envelope.mail_from == "vouchsafe@broker.example"
            mail = check(envelope.original_content)
            if mail["references"]:
                assert mail["references"] == mail["in-reply-to"]
                self.threads.add(mail["references"])
        except BaseException as error:
            self.done.set_exception(error)
            return "554 not as it should be"
        if mood == "die-taken":
            server.transport.abort()
            return "421 4.4.2 gone"
        self.left -= 1
        if not self.left:
            self.done.set_result(None)
        return "250 read"


async def main(tls, user, password, count, cert, key, moods=""):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    handler = Handler(int(count), moods)

    def authenticator(server, session, envelope, mechanism, data):
        said = (data.login.decode(), data.password.decode())
        return AuthResult(success=said == (user, password))

    def connection():
        return SMTP(
            handler,
            tls_context=context if tls == "starttls" else None,
            require_starttls=tls == "starttls",
            auth_required=True,
            # With implicit TLS it does not know that there is any.
            auth_require_tls=tls == "starttls",
            authenticator=authenticator,
        )

    loop = asyncio.get_running_loop()
    over = context if tls == "implicit" else None
    server = await loop.create_server(connection, "127.0.0.1", 0, ssl=over)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.wait_for(handler.done, WAIT_SECONDS_MAX)
    assert len(handler.threads) == 1, handler.threads
    # The last answer is still on its way.
    await asyncio.sleep(0.2)


asyncio.run(main(*sys.argv[1:]))
