"""The contract suite: every check on every adapter there is. A file in adapters/ and its fixture are all it takes."""

from __future__ import annotations

import pytest
from broken_twins import TWINS, Twin
from contract_case import case_of, cases
from contract_checks import Check
from contract_walks import CHECKS

PAIRS = [
    pytest.param(name, contract, check, id=f"{name}-{contract.stem}-{check.name}")
    for name, contract in cases()
    for check in CHECKS
]


@pytest.mark.parametrize(("name", "contract", "check"), PAIRS)
def test_every_adapter_keeps_the_contract(name, contract, check: Check, tmp_path) -> None:
    case = case_of(name, contract, tmp_path)
    if check.needs and not case.can(check.needs):
        pytest.skip(f"{name} has no {check.needs}")
    if check.played and case.reads_files:
        pytest.skip(f"{name} reads files: there is nobody to play")
    check.run(case)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_sound_adapter_passes_every_check(check: Check, tmp_path) -> None:
    check.run(Twin(check.name, "").case(tmp_path))


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: f"{twin.check}-{twin.says}")
def test_every_broken_twin_is_caught_for_its_fault(twin: Twin, tmp_path) -> None:
    check = next(check for check in CHECKS if check.name == twin.check)
    with pytest.raises((Exception, pytest.fail.Exception), match=twin.says):
        check.run(twin.case(tmp_path))


def test_every_check_has_a_broken_twin() -> None:
    assert {check.name for check in CHECKS} == {twin.check for twin in TWINS}


def test_every_adapter_has_a_fixture_of_its_own() -> None:
    assert [f"{name}: {contract}" for name, contract in cases() if not contract.exists()] == []
