"""verify: check a dataset without its source data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.runtime.progress import Progress, silent
from pipeline.tools.inspect import media, references
from pipeline.tools.inspect.files import check_file, check_footer, system_files, unlisted
from pipeline.tools.inspect.manifest import DAMAGE, Finding, Listed, Manifest, read_manifest
from pipeline.tools.inspect.references import Part, names, read


@dataclass
class Verdict:
    """Counts of what was checked, problems, and notes."""

    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    files: int = 0
    rows: int = 0
    images: int = 0
    recordings: int = 0

    @property
    def ok(self) -> bool:
        """Whether there is no finding."""
        return not self.findings

    def as_json(self) -> dict[str, Any]:
        """The verdict as JSON values."""
        counts = {name: getattr(self, name) for name in ("files", "rows", "images", "recordings")}
        findings = [vars(finding) for finding in self.findings]
        return {"ok": self.ok, **counts, "notes": self.notes, "findings": findings}


def verify(
    folder: Path, *, fast: bool = False, threads: int = 2, progress: Progress = silent
) -> Verdict:
    """Check a dataset's folder. Problems are returned as findings, never raised.

    Parameters
    ----------
    fast
        Decode only a sample of the images and audio; all other checks are complete.
    threads
        The number of threads for decoding.
    """
    verdict = Verdict()
    manifest = read_manifest(folder)
    verdict.findings += manifest.findings
    if not manifest.files and not manifest.documents:
        return verdict
    whole = _check_files(folder, manifest, verdict, progress)
    _check_media(folder, whole, verdict, fast, threads, progress)
    _check_references(folder, manifest, whole, verdict)
    return verdict


def _check_files(
    folder: Path, manifest: Manifest, verdict: Verdict, progress: Progress
) -> list[Listed]:
    """Check files and footers; return the intact Parquet files."""
    whole = []
    every = [*manifest.files, *manifest.documents]
    with progress("checksums", len(every)) as step:
        for listed in every:
            wrong = check_file(folder, listed)
            if not wrong and listed in manifest.files:
                wrong = check_footer(folder, listed)
                if not wrong:
                    whole.append(listed)
            verdict.findings += wrong
            step()
    verdict.files, verdict.rows = len(every), sum(listed.rows for listed in whole)
    verdict.findings += unlisted(folder, manifest)
    others = system_files(folder, manifest)
    if others:
        verdict.notes.append(f"ignored system files: {', '.join(others)}")
    return whole


def _check_media(
    folder: Path,
    whole: Sequence[Listed],
    verdict: Verdict,
    fast: bool,
    threads: int,
    progress: Progress,
) -> None:
    sizes: dict[str, set[tuple[int, int]]] = defaultdict(set)
    with progress("images and audio", len(whole)) as step:
        for listed in whole:
            try:
                decoded = media.check_media(folder, listed, sample=fast, threads=threads)
            except DAMAGE as error:
                verdict.findings.append(Finding("media", listed.path, f"cannot be read: {error}"))
            else:
                verdict.findings += media.faults(listed, decoded)
                verdict.images += decoded.images
                verdict.recordings += decoded.recordings
                sizes[listed.config] |= decoded.sizes
            step()
    for config, found in sorted(sizes.items()):
        verdict.findings += media.size_faults(config, found)


def _check_references(
    folder: Path, manifest: Manifest, whole: Sequence[Listed], verdict: Verdict
) -> None:
    """Check references between rows, except those to damaged files."""
    damaged = sorted({one.config for one in manifest.files if one not in whole})
    configs = _read_all(folder, whole, verdict)
    takes = references.takes_of(configs.get("takes", ()))
    found = [references.check_rows(manifest, configs)]
    if "takes" in damaged:
        verdict.notes.append("files of takes are damaged: references to takes were not checked")
    else:
        listed = {one.path for one in manifest.documents}
        found += [references.check_takes(configs, takes)]
        found += [references.check_recordings(folder, configs)]
        found += [references.check_protocols(folder, listed, takes)]
    if "pairs" in damaged:
        verdict.notes.append("files of pairs are damaged: references to pairs were not checked")
    elif "sequences" in configs:
        found += [references.check_windows(folder, {"pairs": [], **configs})]
    found += [references.check_families(configs.get("families", ()))]
    found += [references.check_leaks(manifest.unit, configs, takes)]
    for check in found:
        verdict.findings += _drawn(check)


def _drawn(check: Iterator[Finding]) -> list[Finding]:
    """The findings of a check; a read error is one more finding."""
    findings: list[Finding] = []
    try:
        findings.extend(check)
    except DAMAGE as error:
        findings.append(Finding("references", "its files", f"cannot be read: {error}"))
    return findings


def _read_all(folder: Path, whole: Iterable[Listed], verdict: Verdict) -> dict[str, list[Part]]:
    configs: dict[str, list[Part]] = {}
    for listed in whole:
        try:
            part = read(folder, listed, names(listed.config))
        except DAMAGE as error:
            verdict.findings.append(Finding("rows", listed.path, f"cannot be read: {error}"))
        else:
            configs.setdefault(listed.config, []).append(part)
    return configs
