"""What the keys of a log do, wherever one is shown."""

from __future__ import annotations

from textual.widget import Widget

from gyoza_tui.ui.widgets.log_view import Goal, LogView


class LogKeys(Widget):
    """Of a widget or screen with a `LogView` in it."""

    @property
    def log_view(self) -> LogView:
        return self.query_one(LogView)

    def text_to_copy(self) -> str | None:
        line = self.log_view.line
        return line.text if line is not None else None

    def action_log_follow(self) -> None:
        self.log_view.set_follow(not self.log_view.follows)

    def action_log_top(self) -> None:
        self.log_view.go_to_first()

    def action_log_end(self) -> None:
        self.log_view.set_follow(True)

    def action_log_page_down(self) -> None:
        self.log_view.page(1)

    def action_log_page_up(self) -> None:
        self.log_view.page(-1)

    def action_log_down(self) -> None:
        self.log_view.move_cursor(1)

    def action_log_up(self) -> None:
        self.log_view.move_cursor(-1)

    def action_log_left(self) -> None:
        self.log_view.sideways(-1)

    def action_log_right(self) -> None:
        self.log_view.sideways(1)

    def action_log_wrap(self) -> None:
        self.log_view.toggle_wrap()

    def action_log_times(self) -> None:
        self.log_view.toggle_times()

    def action_log_next(self) -> None:
        self.log_view.step(Goal.NEXT)

    def action_log_previous(self) -> None:
        self.log_view.step(Goal.PREVIOUS)

    def action_next_error(self) -> None:
        self.log_view.to_error(backwards=False)

    def action_previous_error(self) -> None:
        self.log_view.to_error(backwards=True)
