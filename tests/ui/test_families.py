"""Each child below its parent, and the way between them."""

from __future__ import annotations

import pytest

from gyoza_tui.ui.families import Way, descendants, in_families
from gyoza_tui.worker.view.snapshot import RunView
from tests.ui.main.scene import going_on


def view(key: int, parent: str | None = None, run_id: str = "") -> RunView:
    return going_on(key, run_id or f"r{key}", parent=parent)


def tree(*views: RunView) -> list[str]:
    families = in_families(views)
    return [families.branches.get(each.key, "") + f"{each.key}" for each in families.views]


def test_who_has_no_family_stays_where_it_is() -> None:
    assert tree(view(3), view(2), view(1, "elsewhere")) == ["3", "2", "1"]


def test_each_child_follows_its_parent_in_the_order_of_the_list() -> None:
    assert tree(view(5, "r1"), view(4), view(3, "r1"), view(2, "r3"), view(1)) == [
        "4",
        "1",
        "├ 5",
        "└ 3",
        "  └ 2",
    ]


def test_a_generation_between_two_siblings_is_led_past() -> None:
    assert tree(view(1), view(2, "r1"), view(3, "r2"), view(4, "r1")) == ["1", "├ 2", "│ └ 3", "└ 4"]


def test_a_deep_one_is_not_pushed_out_of_its_column() -> None:
    assert tree(view(0), *(view(n, f"r{n - 1}") for n in range(1, 2000)))[-1] == "      └ 1999"


def test_the_newest_attempt_of_a_parent_has_the_children() -> None:
    assert tree(view(3, "p"), view(2, run_id="p"), view(1, run_id="p")) == ["2", "└ 3", "1"]


@pytest.mark.parametrize("views", [(view(1, "r1"),), (view(1, "r2"), view(2, "r1"))])
def test_no_run_is_lost_that_is_its_own_ancestor(views: tuple[RunView, ...]) -> None:
    assert sorted(each.key for each in in_families(views).views) == [each.key for each in views]


def test_descendants_are_all_that_are_below() -> None:
    views = (view(5), view(4, "r3"), view(3, "r2"), view(2, "r1"), view(1, "r5"))
    assert [each.key for each in descendants(views[3], views)] == [3, 4]
    assert descendants(views[0], views[:1]) == ()


def test_the_way_leads_up_to_the_parent_and_back_to_the_child_that_was_left() -> None:
    views = (view(4), view(3, "r1"), view(2, "r1"), view(1))
    way = Way()
    assert way.next(views[3], views) is views[1], "the first child"
    assert way.next(views[2], views) is views[3]
    assert way.next(views[3], views) is views[2], "the child that was left"
    assert way.next(views[0], views) is None
    assert way.next(views[3], views) is views[2], "as before"
    assert way.next(view(9, "gone"), views) is None
