"""A short campaign of server faults; the long one is a command (docs/reliability.md)."""

from __future__ import annotations

import pytest

from tests.servers.campaign import campaign
from tests.support.fault_proxy import FAULTS, PASSING

#: Kinds that take seconds: what is silent or drips is waited for.
SLOW = ("silence", "drip", "bomb", "endless line")


@pytest.mark.usefixtures("standing")
def test_faults_at_random_moments_end_no_run_badly() -> None:
    report = campaign(3, 7, [kind for kind in FAULTS if kind not in SLOW])
    assert report.problems == []
    assert report.met.total() >= 3


@pytest.mark.usefixtures("standing")
def test_what_passes_loses_nothing() -> None:
    report = campaign(4, 8, sorted(PASSING - {*SLOW}))
    assert report.problems == []
