"""Owns a background thread that calls one method again and again, without keeping the method's object alive."""

import threading
import weakref
from collections.abc import Callable


class Background:
    """Calls a bound method every `interval_s` seconds, and at once when it is woken; before that `first`, once. Neither may raise.

    The thread is a daemon and ends with its object, so that a forgotten service can go. In a forked child it does not
    exist: make a new one there.
    """

    def __init__(
        self, method: Callable[[], object], interval_s: float, name: str, first: Callable[[], object] = bool
    ) -> None:
        self._first = first
        self._method = weakref.WeakMethod(method)
        self._interval_s = interval_s
        self._woken = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"otel_metrics {name}", daemon=True)

    def start(self) -> None:
        """Begins; the first call comes after one interval."""
        self._thread.start()

    def wake(self) -> None:
        """Asks for a call now."""
        self._woken.set()

    def stop(self, timeout_s: float) -> None:
        """Ends the thread, waiting at most `timeout_s` for a call that is under way."""
        self._stopping = True
        self._woken.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        self._first()
        while True:
            self._woken.wait(self._interval_s)
            self._woken.clear()
            method = self._method()
            if self._stopping or method is None:
                return
            method()
            del method
