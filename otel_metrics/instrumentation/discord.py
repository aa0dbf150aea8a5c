"""Traces discord.py clients that inherit from a mixin: messages and interactions are sessions, REST calls spans.

`class MyBot(TracedBot)` or `class MyClient(TracedClient)` stand for discord.py's own classes; `Traced` is the mixin for
other bases, such as `class MyBot(Traced, commands.AutoShardedBot)`. discord.py offers no hook from outside, and no zero code: what it
offers is inheritance, the option `http_trace`, and the command tree's `on_error`.
"""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.instrumentation.dependencies import DependencyConflictError, get_dependency_conflicts

from otel_metrics.instrumentation.discord_calls import tracing
from otel_metrics.instrumentation.discord_events import facts_of_interaction, facts_of_message
from otel_metrics.instrumentation.handling import Handling, current_handling, handle
from otel_metrics.process import get_metrics_service

_conflict = get_dependency_conflicts(("discord.py >= 2.3",))
if _conflict:
    raise DependencyConflictError(_conflict)


class _LateContext(Context):
    """A context that tasks are given before the session is known that they run in."""

    def fill(self, context: Context) -> None:
        dict.update(self, context)


class Traced:
    """Put before a client class among the bases, it traces what the client handles and what it sends."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._arriving: tuple[Any, _LateContext, set[asyncio.Task[Any]]] | None = None
        options["http_trace"] = tracing(options.get("http_trace"), self)  # type: ignore[arg-type]  # a client, by its other base
        super().__init__(*args, **options)

    def is_traced(self, subject: discord.Message | discord.Interaction[Any]) -> bool:  # noqa: ARG002 - for who overrides it
        """Whether a message or an interaction becomes a session. To be overridden where a bot reads along in a busy server."""
        return True

    def dispatch(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        """Begins the session of what has come, then lets discord.py call the handlers."""
        try:
            begun = self._begun(event, args)
        except Exception as fault:  # what Discord sends may be of any shape
            begun = None
            if (kit := get_metrics_service().kit) is not None:
                kit.guard.caught("discord", fault)
        if begun is None:
            super().dispatch(event, *args, **kwargs)  # type: ignore[misc]
        else:
            with begun:
                super().dispatch(event, *args, **kwargs)  # type: ignore[misc]
        if event == "socket_event_type" and args == ("INTERACTION_CREATE",):
            self._expect_tasks()

    def _schedule_event(
        self, coro: Callable[..., Coroutine[Any, Any, Any]], event_name: str, *args: Any, **kwargs: Any
    ) -> asyncio.Task[Any]:
        """Keeps the session open until the handler is done, and notes what it raises."""
        handling = current_handling()
        if handling is None:
            return super()._schedule_event(coro, event_name, *args, **kwargs)  # type: ignore[misc,no-any-return]
        task: asyncio.Task[Any] = super()._schedule_event(_noting(coro), event_name, *args, **kwargs)  # type: ignore[misc]
        handling.hold()
        task.add_done_callback(lambda _: handling.release())
        return task

    def _begun(self, event: str, args: tuple[Any, ...]) -> handle | None:
        """The session that begins with this event, if one does."""
        if event == "interaction":
            return self._interaction(args[0])
        if event == "message" and args[0].author != self.user and self.is_traced(args[0]):  # type: ignore[attr-defined]
            return handle(*facts_of_message(args[0]), subject=args[0])
        if event == "message_edit":
            before, after = args
            # an embed that Discord adds to a link comes as an edit too
            if after.author != self.user and before.content != after.content and self.is_traced(after):  # type: ignore[attr-defined]
                return handle(*facts_of_message(after, "edited_message"), subject=after)
        elif event == "command" and (handling := current_handling()) is not None:
            handling.note(command=args[0].command.qualified_name)
        elif event == "command_error":
            note(args[1])
        return None

    def _expect_tasks(self) -> None:
        """discord.py makes the tasks of slash commands, buttons and modals before it tells of their interaction."""
        if self._arriving is not None:  # the one before was of a shape that discord.py could not read
            detach(self._arriving[0])
        late = _LateContext(get_current())
        self._arriving = (attach(late), late, asyncio.all_tasks())

    def _interaction(self, interaction: discord.Interaction[Any]) -> handle | None:
        if self._arriving is None:
            return None
        token, late, before = self._arriving
        self._arriving = None
        detach(token)
        if not self.is_traced(interaction):
            return None
        return _InteractionHandle(interaction, late, asyncio.all_tasks() - before)


class _InteractionHandle(handle):
    """The session of an interaction, and the tasks that were made for it."""

    __slots__ = ("_interaction", "_late", "_tasks")

    def __init__(
        self, interaction: discord.Interaction[Any], late: _LateContext, tasks: set[asyncio.Task[Any]]
    ) -> None:
        super().__init__(*facts_of_interaction(interaction), subject=interaction)
        self._interaction = interaction
        self._late = late
        self._tasks = tasks

    def __enter__(self) -> Handling | None:
        handling = super().__enter__()
        if handling is not None:
            self._late.fill(handling.context)
            for task in self._tasks:
                handling.hold()
                task.add_done_callback(functools.partial(_done, handling, self._interaction))
        return handling


class TracedClient(Traced, discord.Client):
    """`discord.Client`, traced."""


class TracedTree(app_commands.CommandTree[Any]):
    """The command tree that tells the kinds of errors; `TracedBot` has it, a client makes it: `TracedTree(self)`."""

    async def on_error(self, interaction: discord.Interaction[Any], error: app_commands.AppCommandError, /) -> None:
        """Notes the error, then does what discord.py does."""
        note(error)
        await super().on_error(interaction, error)

    def error(self, coro: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
        """Takes an error handler as `CommandTree.error` does; the error is noted before it is called."""

        @functools.wraps(coro)
        async def noting(interaction: discord.Interaction[Any], error: app_commands.AppCommandError) -> None:
            note(error)
            await coro(interaction, error)

        super().error(noting)
        return coro


class TracedBot(Traced, commands.Bot):
    """`discord.ext.commands.Bot`, traced; its slash commands too."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("tree_cls", TracedTree)
        super().__init__(*args, **options)


class TracedErrors:
    """Put before `discord.ui.View` or `discord.ui.Modal` among the bases, it tells the kinds of their errors."""

    async def on_error(self, interaction: discord.Interaction[Any], error: Exception, *item: Any) -> None:
        """Notes the error, then does what discord.py does."""
        note(error)
        await super().on_error(interaction, error, *item)  # type: ignore[misc]


def note(error: BaseException) -> None:
    """Tells the session that is being handled of an error, from an error handler of the bot's own."""
    handling = current_handling()
    if handling is None or isinstance(error, commands.CommandNotFound | app_commands.CommandNotFound):
        return
    cause = getattr(error, "original", error)
    if isinstance(cause, discord.HTTPException) and handling.undelivered:
        handling.stage_failed(cause)  # the delivery that was refused has told it
    handling.fail(cause)


def _noting(coro: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
    @functools.wraps(coro)
    async def noting(*args: Any, **kwargs: Any) -> Any:
        try:
            return await coro(*args, **kwargs)
        except Exception as error:
            note(error)
            raise

    return noting


def _done(handling: Handling, interaction: discord.Interaction[Any], _: asyncio.Task[Any]) -> None:
    """A task of the interaction has ended; a tree that is not ours tells no more than that its command failed."""
    tree = interaction.client.tree if isinstance(interaction.client, commands.Bot) else None
    if interaction.command_failed and not isinstance(tree, TracedTree):
        handling.fail(app_commands.AppCommandError())
    handling.release()
