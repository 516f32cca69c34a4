"""A question over the screen, and the choices there are."""

from __future__ import annotations

from typing import ClassVar, Final, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from gyoza_tui.ui.keys.question import Question

_T = TypeVar("_T")


class Choices(OptionList, inherit_bindings=False):
    """Without keys for pages: Textual's fail at a list that is not laid out yet."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "cursor_up", show=False),
        Binding("down", "cursor_down", show=False),
        Binding("enter", "select", show=False),
    ]


class Dialog(ModalScreen[_T], inherit_bindings=False):
    """Answers the value of a choice; a dialog that is closed from outside answers nothing."""

    DEFAULT_CSS = """
    Dialog {
        align: center middle;
        background: transparent;
        & > Vertical {
            width: 78;
            max-width: 100%;
            height: auto;
            max-height: 100%;
            background: $surface;
            border: round $border;
            padding: 0 1;
        }
        .dialog--title { text-style: bold; }
        VerticalScroll { height: auto; max-height: 1fr; scrollbar-size-vertical: 1; }
        Choices { height: auto; margin-top: 1; border: none; padding: 0; background: $surface; }
        Choices:focus { border: none; background-tint: transparent; }
    }
    Dialog.-short {
        & > Vertical { height: 100%; border: none; }
        VerticalScroll { height: 1fr; }
        Choices { margin-top: 0; max-height: 70%; }
    }
    """
    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-tall")]  # noqa: RUF012  # as Textual declares it
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "yes", show=False),
        Binding("n,escape,q,ctrl+q,ctrl+c,ctrl+z", "stay", show=False),
        Binding("j,tab", "move(1)", show=False),
        Binding("k,shift+tab", "move(-1)", show=False),
    ]
    AUTO_FOCUS = "Choices"

    def __init__(self, question: Question[_T]) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self._question.title, classes="dialog--title")
            with VerticalScroll(can_focus=False):
                yield Static(Content("\n").join(self._question.lines), id="lines")
            yield Choices(*(Option(choice.content()) for choice in self._question.choices))

    def on_mount(self) -> None:
        self._list.highlighted = 0

    @property
    def question(self) -> Question[_T]:
        return self._question

    def ask(self, question: Question[_T]) -> None:
        """The same question with other numbers; the highlight stays."""
        before, self._question = self._question, question
        if question.lines != before.lines:
            self.query_one("#lines", Static).update(Content("\n").join(question.lines))
        for number, (old, new) in enumerate(zip(before.choices, question.choices, strict=True)):
            if old != new:
                self._list.replace_option_prompt_at_index(number, new.content())

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        message.stop()
        self._answer(message.option_index)

    def action_yes(self) -> None:
        """Take what is highlighted."""
        self._answer(self._list.highlighted or 0)

    def action_stay(self) -> None:
        self._answer(0)

    def action_move(self, step: int) -> None:
        choices = self._list
        choices.highlighted = ((choices.highlighted or 0) + step) % choices.option_count

    @property
    def _list(self) -> Choices:
        return self.query_one(Choices)

    def _answer(self, number: int) -> None:
        self.dismiss(self._question.choices[number].value)


_YES: Final = 1


class Confirm(Dialog[bool]):
    """`y` says yes whatever is highlighted."""

    def action_yes(self) -> None:
        self._answer(_YES)
