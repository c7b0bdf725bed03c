"""Read the tables of a dataset for an audit."""

from __future__ import annotations

from functools import cache

from pipeline import media
from pipeline.alignment.align import same_sentence
from pipeline.records import Clip, Pair, Rejected, Sentence
from pipeline.runtime.run import Run
from pipeline.stages.align.utterances import Recordings, Samples
from pipeline.tools.audit.compare import Known, ScoreOf
from pipeline.tools.audit.take_lookup import clips_by_name, one_view


def read_known(run: Run, *, level: int | None, view: str | None) -> Known:
    """The takes of one level and view, with the results of align.

    Raises
    ------
    OutOfOrderError
        When extract or align has not run.
    """
    clips = one_view(run.need("extract", "clips", Clip), view)
    return Known(
        clips=clips_by_name(clips, level),
        pairs={pair.pair_id: pair for pair in run.need("align", "pairs", Pair)},
        rejected={row.item: row for row in run.need("align", "rejected", Rejected)},
        sentences={row.utterance_id: row for row in run.need("align", "sentences", Sentence)},
        score=_scores(run),
        audio_fps=run.params.align.audio_fps,
    )


def _scores(run: Run) -> ScoreOf:
    section = run.params.align
    extracted = run.items("extract")

    def read(clip: Clip) -> Samples:
        return media.read_flac(extracted.path(f"{clip.speaker}/{clip.take_id}", ".audio.flac"))

    recordings = Recordings(read, section.features)

    @cache
    def score(a: Clip, b: Clip) -> float:
        return same_sentence(recordings.features(a), recordings.features(b), section)

    return score
