"""A command that takes the options of another beside its own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Any, TypeVar

Command = TypeVar("Command", bound=Callable[..., None])


def with_options_of(
    lender: Callable[..., None], *, but: Collection[str]
) -> Callable[[Command], Command]:
    """Add the parameters of ``lender``, save some, to a function that ends with ``**options``."""
    lent = _parameters(lender)

    def borrow(command: Command) -> Command:
        own = [each for each in _parameters(command) if each.kind is not each.VAR_KEYWORD]
        taken = {*but, *(each.name for each in own)}
        every = [*own, *(each for each in lent if each.name not in taken)]
        every = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in every]
        described: Any = command
        described.__signature__ = inspect.Signature(every)
        described.__annotations__ = {each.name: each.annotation for each in every}
        return command

    return borrow


def _parameters(command: Callable[..., None]) -> list[inspect.Parameter]:
    return list(inspect.signature(command, eval_str=True).parameters.values())
