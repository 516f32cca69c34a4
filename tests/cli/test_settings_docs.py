"""What is made from the settings is up to date."""

from __future__ import annotations

import pytest

from gyoza_tui.models.docstrings import attribute_docstrings
from gyoza_tui.settings import PREFIX, Settings
from tools import roles_docs, settings_docs

STALE = "stale: run `make docs`"


def test_env_example_is_up_to_date() -> None:
    assert (settings_docs.ROOT / ".env.example").read_text() == settings_docs.env_example(), STALE


def test_readme_is_up_to_date() -> None:
    text = (settings_docs.ROOT / "README.md").read_text()
    assert settings_docs.readme(text) == text, STALE


def test_the_table_of_roles_is_up_to_date() -> None:
    text = roles_docs.PATH.read_text()
    assert roles_docs.page(text) == text, STALE
    assert "| claim runs | yes |  | yes | `POST /workers/{worker_id}/claim` |" in text


def test_every_setting_says_what_it_means() -> None:
    said = attribute_docstrings(Settings)
    for name in Settings.model_fields:
        assert said.get(name), name
        assert "\n" not in said[name], name
        assert f"`{PREFIX}{name.upper()}`" in settings_docs.table()


def test_a_fixed_choice_is_told() -> None:
    (row,) = (line for line in settings_docs.table().splitlines() if f"`{PREFIX}PULL_POLICY`" in line)
    assert row.endswith(" `always`, `missing` or `never`. |")


def test_a_readme_without_its_place_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks"):
        settings_docs.readme("# nothing here")
