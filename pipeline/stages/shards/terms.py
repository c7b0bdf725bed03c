"""What may be done with the shards of each corpus: the one home of its terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Terms:
    """A corpus's terms, as they pass on to shards made of it.

    Attributes
    ----------
    licence
        The identifier of the Hub, `other` where it knows none.
    name
        Of the licence, where the identifier is `other`.
    url
        Where the terms stand, empty where nothing is published.
    text
        What holds for the shards, for people.
    show_faces
        Whether a card, a page or a paper may show pictures out of it. Where not, or where nobody
        said so, nothing that is published holds one.
    cite
        What the corpus asks to be named by.
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
        "MEAD (Wang et al. 2020) is given out for research; no licence of its data is "
        "published. These shards hold frames of it: keep them private, and pass on no picture, no "
        "sound and no copy of the shards.",
        False,
        "Wang et al., MEAD: A Large-scale Audio-visual Dataset for Emotional Talking-face "
        "Generation, ECCV 2020",
    ),
    "ravdess": Terms(
        "cc-by-nc-sa-4.0",
        "",
        "https://creativecommons.org/licenses/by-nc-sa/4.0/",
        "RAVDESS (Livingstone, Russo 2018) is under CC BY-NC-SA 4.0: name its authors, use "
        "it for no commercial end, share alike. Its speakers agreed to research: keep the shards "
        "private.",
        False,
        "Livingstone, Russo, The Ryerson Audio-Visual Database of Emotional Speech and Song "
        "(RAVDESS), PLoS ONE 13(5), 2018",
    ),
    "custom": Terms(
        "other",
        "as-its-sources",
        "",
        "These shards hold frames of the corpus that they were made from: its terms, and "
        "what its speakers agreed to, hold for the shards too. Unless those say otherwise, keep "
        "them private.",
        False,
        "",
    ),
    "demo": Terms(
        "mit",
        "",
        "https://opensource.org/license/mit",
        "The heads and voices of the demo were drawn and spoken by a program; no person is in "
        "it. A result on it says nothing about real faces.",
        True,
        "",
    ),
}


def faces(terms: Terms) -> str:
    """What the card says of showing pictures."""
    if terms.show_faces:
        return "Its pictures may be shown: no person is in them."
    return (
        "No picture of it stands on this card, and none may be put beside it: what is published "
        "of this dataset is numbers and names of takes."
    )


def personal(terms: Terms) -> str:
    """What the card says of the people shown: what may be kept, shared, and asked for."""
    if terms.show_faces:
        return "There is none: heads and voices are made by a program."
    return (
        "Faces and voices of recorded people are personal data, and so is what is computed from "
        "them: landmarks, angles, embeddings, codes. Keep these shards where only those who work "
        "with them can read them, for the purpose that the speakers agreed to, and no longer than "
        "it lasts. Share numbers over many people, and names of takes; share pictures, sounds, "
        "embeddings or the shards only as the corpus's terms allow. When a speaker asks to be left "
        "out, `spfem-data forget --speaker ID` takes them out of everything that was made here and "
        "keeps them out; pass the next version on to whom you gave this one, and say so: copies, "
        "and networks that were trained on them, are beyond this program's reach."
    )
