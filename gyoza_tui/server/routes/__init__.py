"""One router for each kind of thing."""

from gyoza_tui.models import definitions, errors, runs, workers  # noqa: F401 - those that are built
from gyoza_tui.models.wire import build_all

# FastAPI makes an adapter for each route, and pydantic has no lock for one that is built at first use.
build_all()
