"""Labelled situations: the hop, the class of the error, and whose fault an outage is."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from diagnosis.situations import SITUATIONS
from diagnosis.stage import Situation, Stage, nobody_listens, staged
from tillpost.models.outage import Whose
from tillpost.support.diagnosis import Diagnosis, HopStatus, diagnose, three_hops
from tillpost.support.runbook import REPORT_OUTAGE


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Generator[Stage]:
    with staged(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest.fixture(scope="module")
def nowhere() -> Generator[str]:
    with nobody_listens() as address:
        yield address


def blames_the_platform(diagnosis: Diagnosis) -> bool:
    """Whether the diagnosis says that the provider is failing, or asks somebody to report it."""
    report_outage = REPORT_OUTAGE.do.partition("{")[0]
    is_reported = any(step.do.startswith(report_outage) for step in diagnosis.steps)
    return is_reported or "is failing" in diagnosis.evidence[0]


@pytest.mark.parametrize("situation", SITUATIONS, ids=str)
def test_diagnosis_matches_the_label_and_blames_nobody_wrongly(
    stage: Stage, situation: Situation, nowhere: str, tmp_path: Path
) -> None:
    facts = stage.play(replace(situation, nowhere=situation.nowhere or nowhere), tmp_path)
    diagnosis = diagnose(facts)
    context = f"{situation}\n{diagnosis}"

    assert diagnosis.hop is situation.hop, context
    assert diagnosis.error == situation.kind, context

    whose = None
    if facts.outage and diagnosis.error == "OutageError":
        whose = facts.outage.whose
    assert whose is situation.whose, context
    if situation.whose is not Whose.PLATFORM:
        assert not blames_the_platform(diagnosis), context

    hops = three_hops(facts)
    failed = [hop.hop for hop in hops if hop.status is HopStatus.FAILED]
    assert failed in ([diagnosis.hop], []), context


def test_situations_cover_every_platform_hop_and_fault() -> None:
    assert len(SITUATIONS) == len({str(situation) for situation in SITUATIONS}) >= 40
    assert {situation.platform for situation in SITUATIONS} == {"square", "kounta", "generic"}
    assert {situation.hop for situation in SITUATIONS} == {
        "captured",
        "platform",
        "register",
        "none",
    }
    assert {situation.whose for situation in SITUATIONS} == {None, *Whose}
