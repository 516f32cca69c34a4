"""A line to type into, that comes and goes."""

from __future__ import annotations

from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Label


class Prompt(Horizontal):
    """Not on the screen until something is asked; whoever asks takes it away again."""

    DEFAULT_CSS = """
    Prompt {
        height: 1;
        display: none;
        &.-asking { display: block; }
        & > Label { width: auto; color: $accent; }
        & > Input { width: 1fr; }
        & > #refusal { color: $text-error; padding: 0 1; }
    }
    """

    class Typed(Message):
        """The text has changed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Entered(Message):
        """The text is as it is wanted."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    @property
    def asking(self) -> bool:
        return self.has_class("-asking")

    def ask(self, question: str, text: str = "") -> None:
        """Take the focus; what stands there already is replaced by what is typed."""
        if not self.children:  # made when it is first wanted: three widgets more cost every start some milliseconds
            self.mount(Label(id="question", markup=False), Input(compact=True), Label(id="refusal", markup=False))
        self.query_one("#question", Label).update(question)
        self.refuse("")
        self.add_class("-asking")
        entry = self.query_one(Input)
        with entry.prevent(Input.Changed):
            entry.value = text
        entry.focus()
        entry.select_all()

    def refuse(self, why: str) -> None:
        """Say why what was entered will not do."""
        self.query_one("#refusal", Label).update(why)

    def close(self) -> None:
        self.remove_class("-asking")

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.refuse("")
        self.post_message(self.Typed(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Entered(event.value))
