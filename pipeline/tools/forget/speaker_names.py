"""What names a person: ids begin with their speaker's, and no other speaker's longer id may."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

_ID = r"[A-Za-z0-9._%\-]"
_TELLING = 3


@dataclass(frozen=True)
class Person:
    """One speaker, and the other speakers whose ids begin alike (anna, anna_b).

    Ids of takes, utterances and pairs begin with their speaker's and an underscore. An id that is
    short or a number (7, 25) says nothing by itself in running text: it counts there only as the
    beginning of such an id, and elsewhere where a column or a path says that it is a speaker.
    """

    speaker: str
    others: tuple[str, ...] = ()

    @classmethod
    def among(cls, speaker: str, speakers: Iterable[str]) -> Person:
        """A speaker of a corpus that has these speakers."""
        return cls(speaker, tuple(sorted(s for s in set(speakers) if s.startswith(speaker + "_"))))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        alone = rf"|(?!{_ID})" if self._is_telling else ""
        return re.compile(rf"(?<!{_ID}){re.escape(self.speaker)}(?:_{_ID}*{alone})")

    @property
    def _is_telling(self) -> bool:
        return len(self.speaker) >= _TELLING and any(c.isalpha() for c in self.speaker)

    @cached_property
    def _loose(self) -> re.Pattern[str]:
        own = re.escape(self.speaker)
        return re.compile(rf"(?<![A-Za-z0-9]){own}(?![A-Za-z0-9])", re.IGNORECASE)

    def is_named_in(self, text: str) -> bool:
        """Whether an id of theirs stands in a text: the speaker's, a take's, a pair's."""
        return self.speaker in text and any(
            self._is_own(found.group()) for found in self._pattern.finditer(text)
        )

    def owns(self, path: str) -> bool:
        """Whether a path below a stage's folder is theirs: a folder or a file of their name."""
        return any(
            part == self.speaker
            or part.startswith(self.speaker + ".")
            or (part.startswith(self.speaker + "_") and self._is_own(part))
            for part in path.split("/")
        )

    def may_be_named_in(self, path: str) -> bool:
        """The same of the path of a source file, which spells names as its corpus does."""
        return self._loose.search(path) is not None

    def _is_own(self, name: str) -> bool:
        return not any(name == other or name.startswith(other + "_") for other in self.others)
