"""The contract suite: every check on every adapter there is. A new file in adapters/ and its fixture are all it takes."""

from __future__ import annotations

import pytest
from contract_case import Case, case_of, cases
from contract_checks import CHECKS, Check

PAIRS = [
    pytest.param(name, contract, check, id=f"{name}-{contract.stem}-{check.name}")
    for name, contract in cases()
    for check in CHECKS
]


@pytest.mark.parametrize(("name", "contract", "check"), PAIRS)
def test_every_adapter_keeps_the_contract(name, contract, check: Check, tmp_path) -> None:
    case: Case = case_of(name, contract, tmp_path)
    if check.needs and not case.can(check.needs):
        pytest.skip(f"{name} has no {check.needs}")
    check.run(case)
