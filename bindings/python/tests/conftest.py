"""What all tests share. `JETON_PROGRAM` is the program of the issuer; else that of `target/debug`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from jeton import Authorizer
from servers import ROOT, Issuer
from table import DecisionTable


@pytest.fixture(scope="session")
def program() -> Path:
    program = Path(os.environ.get("JETON_PROGRAM", ROOT / "target/debug/jeton"))
    assert program.is_file(), f"{program} is absent: cargo build --bin jeton"
    return program


@pytest.fixture(scope="session")
def issuer(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    """One for all tests; nobody stops it or edits its policies."""
    issuer = Issuer(program, tmp_path_factory.mktemp("issuer"))
    yield issuer
    issuer.stop()


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> DecisionTable:
    return DecisionTable(tmp_path_factory.mktemp("table"))


@pytest.fixture
def orders(table: DecisionTable) -> Iterator[Authorizer]:
    """Decides by the table's policies, without asking anybody."""
    with table.authorizer() as authorizer:
        yield authorizer
