"""Tells Python what threads of the library have for it. They never wait for the interpreter."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
from asyncio import Future
from typing import Callable

from ._jeton import Decision, Mailbox, TokenReply

log = logging.getLogger("jeton")
hears = log.isEnabledFor


def deliver(mailbox: Mailbox) -> None:
    """Starts the thread that empties the mailbox of this process."""
    thread = threading.Thread(target=_empty, args=(mailbox,), name="jeton-courier", daemon=True)
    process = os.getpid()

    def end() -> None:
        # in the child of a fork there is no such thread
        if os.getpid() == process:
            mailbox.end()
            thread.join(2)

    # while the interpreter is still whole: a thread that wakes in the midst of its end would abort the process
    atexit.register(end)
    thread.start()


def _empty(mailbox: Mailbox) -> None:
    while (taken := mailbox.take()) is not None:
        dropped, events, decisions, asked = taken
        for future, decision in decisions:
            # the loop may be closed by now, and then nobody waits
            with contextlib.suppress(RuntimeError):
                future.get_loop().call_soon_threadsafe(_settle, future, decision)
        for function, reply in asked:
            # it may ask a server: nothing else waits for that
            threading.Thread(target=_ask, args=(function, reply), name="jeton-token", daemon=True).start()
        for event in events:
            log_event(*event)
        if dropped:
            log.warning("%d events of the log were dropped", dropped)


def log_event(level: int, name: str, text: str, fields: dict[str, str]) -> None:
    """Logs an event of the engine: in words, with `event` and `fields` for formatters."""
    if log.isEnabledFor(level):
        said = " ".join([text, *(f"{field}={value}" for field, value in fields.items())])
        log.log(level, "%s", said, extra={"event": name, "fields": fields})


def _ask(function: Callable[[], str], reply: TokenReply) -> None:
    try:
        reply.give(function())
    except Exception as error:  # whatever it raises, the engine tells that there is no token
        reply.fail(repr(error))


def _settle(future: Future[Decision], decision: Decision) -> None:
    if not future.done():
        future.set_result(decision)
