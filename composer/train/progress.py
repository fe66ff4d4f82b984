"""How far a run is: a bar on a terminal, a line every tenth of the way elsewhere. Always on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from tqdm import tqdm


class Meter:
    """Told after each step what the loss was and how fast it goes."""

    def __init__(self, steps: int, done: int = 0, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._steps, self._tenth = steps, done * 10 // steps
        terminal = self._stream.isatty()
        self._bar = tqdm(total=steps, initial=done, unit="step", file=self._stream) if terminal else None

    def update(self, step: int, loss: float, speed: float) -> None:
        """`step` steps are done; `speed` is in tokens a second."""
        if self._bar is not None:
            self._bar.set_postfix(loss=f"{loss:.3f}", tokens_per_s=f"{speed:,.0f}", refresh=False)
            self._bar.update(step - self._bar.n)
        elif step * 10 // self._steps > self._tenth:
            self._tenth = step * 10 // self._steps
            self.say(f"step {step:,} of {self._steps:,}: loss {loss:.3f}, {speed:,.0f} tokens/s")

    def say(self, line: str) -> None:
        """A line of its own."""
        if self._bar is not None:
            self._bar.write(line, file=self._stream)
        else:
            print(line, file=self._stream, flush=True)

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()


class Clock:
    """Tokens a second, not counting the time while it is stopped."""

    def __init__(self, tokens_per_step: int, step: int) -> None:
        self._tokens_per_step, self._step = tokens_per_step, step
        self._since = time.perf_counter()

    def speed(self, step: int) -> float:
        """Tokens a second since the last lap, now that `step` steps are done."""
        elapsed = max(1e-9, time.perf_counter() - self._since)
        return (step - self._step) * self._tokens_per_step / elapsed

    def lap(self, step: int) -> float:
        """`speed`, and a fresh start."""
        speed = self.speed(step)
        self._step, self._since = step, time.perf_counter()
        return speed

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Time that does not count."""
        stopped = time.perf_counter()
        yield
        self._since += time.perf_counter() - stopped
