"""Work that goes on beside the training: a thread that does one job after the other."""

import ctypes
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self


class Beside:
    """Does jobs in one thread, in the order in which they are given; what follows each is done by the caller's thread.

    After a job that failed no later one is done. As a context manager it leaves no job behind: an exception waits for
    those that were given, KeyboardInterrupt ends the one that is being done as Ctrl-C ends what the main thread does.
    """

    def __init__(self):
        self._executor = ThreadPoolExecutor(1, "beside the training")  # starts its thread with the first job
        self._jobs: deque[tuple[Future, Callable[[Any], None]]] = deque()
        self._mutex = threading.Lock()
        self._thread: int | None = None
        self._is_over = False

    def submit(self, job: Callable[[], Any], then: Callable[[Any], None]) -> Future:
        """Give a job; `settle` calls `then` with what it returned."""
        future = self._executor.submit(self._do, job)
        self._jobs.append((future, then))
        return future

    def settle(self, until: Future | None = None) -> None:
        """Call `then` of the jobs that are done, in their order, having waited for `until`; raise what they raised."""
        while self._jobs and (self._jobs[0][0].done() or any(job is until for job, _ in self._jobs)):
            result = self._jobs[0][0].result()
            _, then = self._jobs.popleft()
            then(result)

    def finish(self) -> None:
        """Wait for every job, and settle it."""
        if self._jobs:
            self.settle(self._jobs[-1][0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind, error, traceback) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self._interrupt()
        self._executor.shutdown()

    def _do(self, job: Callable[[], Any]) -> Any:
        with self._mutex:
            if self._is_over:
                raise RuntimeError("a job before this one has failed")
            self._thread = threading.get_ident()
        try:
            return job()
        except BaseException:
            self._is_over = True
            raise
        finally:
            with self._mutex:
                self._thread = None

    def _interrupt(self) -> None:
        with self._mutex:
            self._is_over = True
            if self._thread is not None:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(self._thread), ctypes.py_object(KeyboardInterrupt)
                )
