"""Recognise a speaker's ids in text and paths, but not longer ids of other speakers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

_ID = r"[A-Za-z0-9._%\-]"
_MIN_DISTINCTIVE = 3


@dataclass(frozen=True)
class Person:
    """One speaker, and the other speakers whose ids have this id as a prefix (anna, anna_b).

    Ids of takes, utterances and pairs begin with the speaker's id and an underscore. A short or
    numeric id (7, 25) is ambiguous in running text: there it counts only as the prefix of such an
    id, elsewhere if a column or a path identifies it as a speaker.
    """

    speaker: str
    others: tuple[str, ...] = ()

    @classmethod
    def among(cls, speaker: str, speakers: Iterable[str]) -> Person:
        """A speaker of a corpus with these speakers."""
        return cls(speaker, tuple(sorted(s for s in set(speakers) if s.startswith(speaker + "_"))))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        alone = rf"|(?!{_ID})" if self._is_distinctive else ""
        return re.compile(rf"(?<!{_ID}){re.escape(self.speaker)}(?:_{_ID}*{alone})")

    @property
    def _is_distinctive(self) -> bool:
        return len(self.speaker) >= _MIN_DISTINCTIVE and any(c.isalpha() for c in self.speaker)

    @cached_property
    def _loose(self) -> re.Pattern[str]:
        own = re.escape(self.speaker)
        return re.compile(rf"(?<![A-Za-z0-9]){own}(?![A-Za-z0-9])", re.IGNORECASE)

    def is_named_in(self, text: str) -> bool:
        """Whether a text contains the id of the speaker or of one of their takes or pairs."""
        return self.speaker in text and any(
            self._is_own(match.group()) for match in self._pattern.finditer(text)
        )

    def owns(self, path: str) -> bool:
        """Whether a path in a stage's folder is theirs: a folder or a file named after them."""
        return any(
            part == self.speaker
            or part.startswith(self.speaker + ".")
            or (part.startswith(self.speaker + "_") and self._is_own(part))
            for part in path.split("/")
        )

    def may_be_named_in(self, path: str) -> bool:
        """The same for the path of a source file, which uses the spelling of the corpus."""
        return self._loose.search(path) is not None

    def _is_own(self, name: str) -> bool:
        return not any(name == other or name.startswith(other + "_") for other in self.others)
