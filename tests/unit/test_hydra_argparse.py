from __future__ import annotations

import argparse

import pytest

from rlavr_hpc.config.hydra_argparse import CHECK, lazy_help_allowed


class LazyHelp:
    def __repr__(self) -> str:
        return "printed later"


def checked(parser: argparse.ArgumentParser, action: argparse.Action) -> None:
    """What argparse does since Python 3.14, in short."""
    del parser
    if action.help is not None and "%" in action.help:
        raise ValueError("badly formed help string")


def test_help_that_is_no_text_is_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(argparse.ArgumentParser, CHECK, checked, raising=False)
    monkeypatch.setattr(argparse._ActionsContainer, CHECK, checked, raising=False)
    parser = argparse.ArgumentParser()
    with lazy_help_allowed():
        parser.add_argument("--lazy", help=LazyHelp())  # type: ignore[arg-type]
    assert getattr(argparse.ArgumentParser, CHECK) is checked


def test_text_is_still_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(argparse.ArgumentParser, CHECK, checked, raising=False)
    with lazy_help_allowed(), pytest.raises(ValueError, match="badly formed"):
        getattr(argparse.ArgumentParser, CHECK)(
            argparse.ArgumentParser(), argparse.Action([], "x", help="100 %")
        )


def test_nothing_changes_where_argparse_does_not_check(monkeypatch: pytest.MonkeyPatch) -> None:
    for owner in (argparse.ArgumentParser, argparse._ActionsContainer):
        monkeypatch.delattr(owner, CHECK, raising=False)
    with lazy_help_allowed():
        assert not hasattr(argparse.ArgumentParser, CHECK)
    assert not hasattr(argparse.ArgumentParser, CHECK)
