"""State that must not leave its process: locks, thread pools, open files, caches.

A lock that another thread holds during a fork stays locked in the child for ever, and the threads
of a pool do not exist there.
"""

from __future__ import annotations

import os
from typing import Any, ClassVar
from weakref import WeakSet

_instances: WeakSet[ProcessLocal] = WeakSet()


class ProcessLocal:
    """Base of objects with such state: it is rebuilt after unpickling and in a forked child.

    A subclass names the attributes in `_LOCAL`, sets them in `_reset`, and calls `_start` at the
    end of its `__init__`.
    """

    _LOCAL: ClassVar[tuple[str, ...]]

    def _start(self) -> None:
        self._reset()
        _instances.add(self)

    def _reset(self) -> None:
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in self._LOCAL}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._start()


def _reset_all() -> None:
    for instance in list(_instances):
        instance._reset()


os.register_at_fork(after_in_child=_reset_all)
