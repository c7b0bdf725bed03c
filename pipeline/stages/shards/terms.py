"""The terms of use of each corpus, which also apply to shards built from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Terms:
    """The terms of a corpus.

    Attributes
    ----------
    licence
        The Hub's identifier, or `other`.
    name
        The name of the licence if the identifier is `other`.
    url
        The address of the terms; empty if they are not published.
    text
        The terms of the shards in prose.
    show_faces
        Whether a card, a page or a paper may show images. If not, or if unknown, no published
        file contains one.
    cite
        The citation that the corpus asks for.
    """

    licence: str
    name: str
    url: str
    text: str
    show_faces: bool
    cite: str


TERMS: Mapping[str, Terms] = {
    "mead": Terms(
        "other",
        "research-only",
        "https://wywu.github.io/projects/MEAD/MEAD.html",
        "MEAD (Wang et al. 2020) is available for research; its data has no published licence. "
        "These shards contain frames of it: keep them private, and do not share images, audio or "
        "copies of the shards.",
        False,
        "Wang et al., MEAD: A Large-scale Audio-visual Dataset for Emotional Talking-face "
        "Generation, ECCV 2020",
    ),
    "ravdess": Terms(
        "cc-by-nc-sa-4.0",
        "",
        "https://creativecommons.org/licenses/by-nc-sa/4.0/",
        "RAVDESS (Livingstone, Russo 2018) is licensed under CC BY-NC-SA 4.0: credit its authors, "
        "no commercial use, share alike. Its speakers consented to research use: keep the shards "
        "private.",
        False,
        "Livingstone, Russo, The Ryerson Audio-Visual Database of Emotional Speech and Song "
        "(RAVDESS), PLoS ONE 13(5), 2018",
    ),
    "custom": Terms(
        "other",
        "as-its-sources",
        "",
        "These shards contain frames of their source corpus. Its terms, and the consent of its "
        "speakers, also apply to the shards. Unless those permit sharing, keep the shards private.",
        False,
        "",
    ),
    "demo": Terms(
        "mit",
        "",
        "https://opensource.org/license/mit",
        "The heads and voices of the demo are synthetic; it contains no real person. Results on it "
        "say nothing about real faces.",
        True,
        "",
    ),
}


def faces(terms: Terms) -> str:
    """The card's statement on showing images."""
    if terms.show_faces:
        return "Its images may be shown: they show no real person."
    return (
        "This card contains no image of the dataset, and none may be added: only numbers and "
        "names of takes may be published."
    )


def personal(terms: Terms) -> str:
    """The card's statement on personal data: storage, sharing and deletion."""
    if terms.show_faces:
        return "None: heads and voices are synthetic."
    return (
        "Faces and voices of recorded people are personal data, and so is everything computed from "
        "them: landmarks, angles, embeddings, codes. Restrict access to the people who work with "
        "these shards, use them only for the purpose that the speakers consented to, and delete "
        "them when it ends. You may share aggregate numbers and names of takes; share images, "
        "audio, embeddings or shards only as the corpus's terms allow. If a speaker withdraws "
        "consent, `spfem-data forget --speaker ID` deletes their data from all outputs and "
        "excludes them from later runs. Send the new version to everyone who received this one, "
        "and tell them why: copies, and networks trained on them, are not affected by the command."
    )
