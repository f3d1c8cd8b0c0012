"""An event loop kept between batches, so that a client which a function keeps open stays usable.

It runs in the thread that asks, where the alarm that ends a case rings: code that never awaits is stopped by it too.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from harness.contract import Refused

GRACE = 1.0
"""Seconds that cancelled calls get to clean up; what ignores that is left where it stands."""


class Loop:
    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, awaitable: Awaitable[Any]) -> Any:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            weakref.finalize(self, _close, self._loop)
        try:
            return self._loop.run_until_complete(_awaited(awaitable))
        except Exception:
            raise
        except BaseException:  # its time is over: nothing in this loop may go on
            loop, self._loop = self._loop, None
            _close(loop)
            raise

    def run_all(self, call: Callable[[Any], Awaitable[Any]], inputs: Sequence[Any], many: int) -> list[Any]:
        """The answers in order, an exception in the place of the call that raised it."""
        answers: list[Any] = [Refused("its call was cancelled") for _ in inputs]

        async def one(index: int, turns: asyncio.Semaphore) -> None:
            async with turns:
                try:
                    answers[index] = await call(inputs[index])
                except (Exception, SystemExit) as error:
                    answers[index] = error

        async def everyone() -> None:
            turns = asyncio.Semaphore(many)
            tasks = [asyncio.ensure_future(one(index, turns)) for index in range(len(inputs))]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                if not task.cancelled():
                    task.result()

        self.run(everyone())
        return answers


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """Give what still runs a chance to clean up; not where this is a collected loop's end amid the run of another."""
    if loop.is_closed():
        return
    if asyncio._get_running_loop() is None:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            done, _ = loop.run_until_complete(asyncio.wait(tasks, timeout=GRACE))
            for task in done:  # what they raised is nobody's any more, and nothing to warn of
                task.cancelled() or task.exception()
        loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
