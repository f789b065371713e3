"""Measures the time of the linker with many cameras and many known identities, and whom it recognises."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from pipeline.benchmark.one_core import one_core
from pipeline.benchmark.simulated_site import SimulatedSite, Visit
from pipeline.cross_camera.match_limits import LinkLimits
from pipeline.cross_camera.online_linker import OnlineLinker
from pipeline.cross_camera.settings import LinkerSettings
from pipeline.cross_camera.track_record import TrackRecord

#: Match limits for the embeddings of a simulated site. Two tracks of one person are at about half of them.
LIMITS = LinkLimits(cosine=0.45, centred_cosine=0.45, crowd_tightening=0.2)
# At the start, everybody in view is a new track at once, which no site shows.
_WARMUP_S = 5.0
_ENOUGH = 1_000_000_000


@dataclass(frozen=True)
class LinkingFigures:
    """The measured figures. Times are CPU time of this process.

    Attributes:
        core_share: share of one core that the linker takes in real time.
        tick_ms_p50, tick_ms_p99: milliseconds of a tick, a frame of every camera: median and 99th percentile.
        restore_s: seconds to restore the known identities.
        identities: number of identities known at the end.
        returned: people who returned and were tracked long enough for a decision.
        recognised: those of them who got the global id that they had before.
        recognised_unlimited: the same with a memory for any number of identities.
        wrong: people, new or returned, who got the global id of somebody else.
        forgotten: identities forgotten because there were too many.
    """

    core_share: float
    tick_ms_p50: float
    tick_ms_p99: float
    restore_s: float
    identities: int
    returned: int
    recognised: int
    recognised_unlimited: int
    wrong: int
    forgotten: int

    def lines(self) -> list[str]:
        """Return the figures in words."""
        memory = "nobody was forgotten because of the number"
        if self.forgotten:
            memory = (
                f"{self.recognised_unlimited} with unlimited memory; {self.forgotten} identities were forgotten "
                "because there were too many"
            )
        return [
            f"linking: {self.core_share:.1%} of one core; a tick takes {self.tick_ms_p50:.1f} ms (median), "
            f"{self.tick_ms_p99:.1f} ms (99th percentile)",
            f"identities known: {self.identities}; restoring those of the start took {self.restore_s:.2f} s",
            f"people who returned: {self.returned}, recognised: {self.recognised} ({memory}); "
            f"taken for somebody else: {self.wrong}",
        ]


@dataclass(frozen=True)
class _Linked:
    tick_s: list[float]
    restore_s: float
    identities: int
    forgotten: int
    returned: int
    recognised: int
    wrong: int


def measure_linking(site: SimulatedSite, settings: LinkerSettings, seconds: float) -> LinkingFigures:
    """Link the tracks of a site for `seconds`, on one core.

    If identities were forgotten because of their number, the same tracks are linked again without this limit.
    """
    with one_core():
        linked = _link(site, settings, seconds)
        unlimited = linked
        if linked.forgotten:
            unlimited = _link(site, settings.model_copy(update={"max_identities": _ENOUGH}), seconds)
    ms = np.array(linked.tick_s) * 1000
    return LinkingFigures(
        core_share=float(ms.mean()) * site.frame_rate / 1000,
        tick_ms_p50=float(np.quantile(ms, 0.5)),
        tick_ms_p99=float(np.quantile(ms, 0.99)),
        restore_s=linked.restore_s,
        identities=linked.identities,
        returned=linked.returned,
        recognised=linked.recognised,
        recognised_unlimited=unlimited.recognised,
        wrong=linked.wrong,
        forgotten=linked.forgotten,
    )


def _link(site: SimulatedSite, settings: LinkerSettings, seconds: float) -> _Linked:
    linker = OnlineLinker(site.camera_ids, settings, LIMITS, decisions_are_final=True)
    gallery = site.gallery(settings.features_per_identity, settings.identity_memory_s)
    began_s = time.process_time()
    linker.restore(gallery)
    restore_s = time.process_time() - began_s
    del gallery
    tick_s: list[float] = []
    begun: list[Visit] = []
    records: dict[int, TrackRecord] = {}
    for number, (visits, frames) in enumerate(site.ticks(_WARMUP_S + seconds)):
        begun += visits
        floors = [(frame, None) for frame in frames]
        began_s = time.process_time()
        observed = linker.observe(floors)
        spent_s = time.process_time() - began_s
        if number >= _WARMUP_S * site.frame_rate:
            tick_s.append(spent_s)
        for tracks in observed.values():
            for record in tracks.seen:
                records.setdefault(record.track_id, record)
    id_of: dict[int, int] = {person: person for person in range(1, site.known + 1)}
    owner = {global_id: person for person, global_id in id_of.items()}
    returned = recognised = wrong = 0
    for visit in begun:
        if visit.number not in records:
            continue
        link = records[visit.number].link
        if link is None:
            continue
        global_id = link.global_id
        if visit.returns:
            returned += 1
            recognised += id_of.get(visit.person) == global_id
        wrong += owner.setdefault(global_id, visit.person) != visit.person
        id_of[visit.person] = global_id
    return _Linked(
        tick_s, restore_s, linker.known_identities, linker.forgotten.surplus, returned, recognised, wrong
    )
