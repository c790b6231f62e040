"""The labelled set is diagnosed right, all of it: which hop failed, with which kind of error, and whose fault it is."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from diagnosis.situations import SITUATIONS
from diagnosis.stage import Situation, Stage, nobody_listens, staged
from tillpost.models.outage import Whose
from tillpost.support.diagnosis import HopStatus, diagnose, three_hops
from tillpost.support.runbook import PROVIDER


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Generator[Stage]:
    with staged(tmp_path_factory.mktemp("stage")) as made:
        yield made


@pytest.fixture(scope="module")
def nowhere() -> Generator[str]:
    with nobody_listens() as address:
        yield address


@pytest.mark.parametrize("situation", SITUATIONS, ids=str)
def test_the_hop_and_the_kind_are_right_and_nobody_is_accused_wrongly(
    stage: Stage, situation: Situation, nowhere: str, tmp_path: Path
) -> None:
    facts = stage.play(replace(situation, nowhere=situation.nowhere or nowhere), tmp_path)
    found = diagnose(facts)
    told = f"{situation}\n{found}"

    assert (found.hop, found.error) == (situation.hop, situation.kind), told
    whose = facts.outage.whose if facts.outage and found.error == "OutageError" else None
    assert whose is situation.whose, told

    accuses = "is failing" in found.evidence[0] or any(
        s.do.startswith(PROVIDER.do[:8]) for s in found.steps
    )
    assert not accuses or situation.whose is Whose.PLATFORM, told
    failed = [hop.hop for hop in three_hops(facts) if hop.status is HopStatus.FAILED]
    assert failed in ([found.hop], []), told


def test_there_are_enough_situations_on_each_platform_and_of_each_kind() -> None:
    assert len(SITUATIONS) == len({str(situation) for situation in SITUATIONS}) >= 40
    assert {situation.platform for situation in SITUATIONS} == {"square", "kounta", "generic"}
    assert {situation.hop for situation in SITUATIONS} == {
        "captured",
        "platform",
        "register",
        "none",
    }
    assert {situation.whose for situation in SITUATIONS} == {None, *Whose}
