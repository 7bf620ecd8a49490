"""All pages, joined to the app."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

from fixgateway.web import pages_blocks, pages_entry, pages_exceptions, pages_journal, pages_people, pages_today
from fixgateway.web.pages import Pages, add_static, page_route
from fixgateway.web.pages_port import DeskPort, Reads
from fixgateway.web.pages_render import Renderer
from fixgateway.web.port import GatewayPort

_PAGES = (pages_today, pages_blocks, pages_entry, pages_exceptions, pages_journal, pages_people)


def add_pages(
    app: FastAPI, gateway: GatewayPort, reads: Reads, desk: DeskPort, zone: str, name: str = "fixgateway"
) -> None:
    """Add the pages.

    Args:
        app: the HTTP room's app. gateway: the running gateway. reads: the database. desk: the rest of the gateway.
        zone: the time zone times are shown in. name: what the pages call the gateway.
    """
    pages = Pages(gateway, reads, desk, Renderer(zone), name)
    router = APIRouter(route_class=page_route(pages), include_in_schema=False)
    for module in _PAGES:
        module.add(router, pages)
    app.include_router(router)
    add_static(app)
    app.state.error_page = pages.error
