"""One router for each kind of thing."""

import gyoza_tui.models.definitions
import gyoza_tui.models.errors
import gyoza_tui.models.runs
import gyoza_tui.models.workers  # noqa: F401 - the types that are built
from gyoza_tui.models.wire import build_all

# FastAPI makes an adapter for each route, and pydantic has no lock for one that is built at first use.
build_all()
